// SPDX-License-Identifier: Apache-2.0
#include "backends/lower/lower.h"
#include "tools/bench/runner.h"

namespace facsim::bench {

namespace {

class FacsimRunner final : public LayerRunner {
 public:
  FacsimRunner(const LayerCase& layer, const backends::Profile& profile, sim::Isa isa,
               sim::ThreadPool* pool)
      : graph_(backends::lower(graph_of(layer, profile), profile)),
        input_(layer.input),
        context_{isa, pool, false} {
    const Shape shapes[] = {input_.shape()};
    const sim::Op& op = *graph_.nodes.front().op;
    output_ = Tensor::uninitialized(op.output_dtype(), op.output_shape(shapes));
  }

  void run() override {
    const Tensor* const inputs[] = {&input_};
    graph_.nodes.front().op->run(inputs, output_, context_);
  }
  const Tensor& output() const override { return output_; }
  std::string implementation() const override {
    return std::string(sim::to_string(sim::resolve_isa(context_.isa)));
  }

 private:
  sim::Graph graph_;
  Tensor input_, output_;
  sim::RunContext context_;
};

}  // namespace

std::unique_ptr<LayerRunner> make_facsim_runner(const LayerCase& layer,
                                                const backends::Profile& profile, sim::Isa isa,
                                                sim::ThreadPool* pool) {
  return std::make_unique<FacsimRunner>(layer, profile, isa, pool);
}

std::vector<Peer> linked_peers() {
  std::vector<Peer> peers;
#ifdef FACSIM_HAS_ONEDNN
  peers.push_back({"onednn", "onednn", sim::kUint8, make_onednn_runner});
#endif
#ifdef FACSIM_HAS_XNNPACK
  peers.push_back({"xnnpack", "xnnpack-x86", sim::kInt8, make_xnnpack_runner});
#endif
  return peers;
}

}  // namespace facsim::bench
