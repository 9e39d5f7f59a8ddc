// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "quant/fake_quantize/affine.h"
#include "quant/observers/observer.h"

namespace facsim::quant {

/// A tensor's quantizer in training: a spec, the observer that finds its range, the parameters in
/// use, and how gradients pass. Its parameters change only in `observe…`, `set_qparams` and through
/// the learned tensors.
class FakeQuantizer {
 public:
  /// `channels` scales if the spec is per channel, else one. The observer must agree (CHECK).
  FakeQuantizer(TensorSpec spec, std::unique_ptr<Observer> observer);
  virtual ~FakeQuantizer() = default;
  /// The word of fake_quantize.def.
  virtual std::string_view name() const = 0;

  const TensorSpec& spec() const { return spec_; }
  const Observer& observer() const { return *observer_; }

  /// Feeds the observer and takes the parameters it proposes (choose_qparams).
  void observe(const Tensor& x);
  void observe_range(std::span<const float> min, std::span<const float> max);
  void set_qparams(const QParams& qparams);
  /// False until a range was observed or parameters were set.
  bool ready() const;
  /// The parameters in use. Error bad_value if not ready.
  virtual QParams qparams() const;

  /// fake_quantize(x) with the parameters in use.
  FakeQuantized forward(const Tensor& x, sim::ThreadPool* pool = nullptr) const;
  /// dx from dy; a learned quantizer also sets its own gradients.
  virtual Tensor backward(const Tensor& dy, const Tensor& x, const FakeQuantized& forward) = 0;

  /// A tensor trained with the network, sharing its elements with the quantizer.
  struct Learned {
    std::string_view name;
    Tensor value, grad;
  };
  virtual std::vector<Learned> learned() { return {}; }
  /// scale, zero_point, ready and the observer's: all that a checkpoint must hold.
  State state() const;

 protected:
  Tensor scale_;       // [C] float32
  Tensor zero_point_;  // [C] float32: integral unless learned

 private:
  TensorSpec spec_;
  std::unique_ptr<Observer> observer_;
  Tensor ready_;  // [1] int64
};

/// Error bad_value lists the words.
std::unique_ptr<FakeQuantizer> make_fake_quantizer(std::string_view name, const TensorSpec& spec,
                                                   std::unique_ptr<Observer> observer);
/// With an observer by its word, for a tensor of `channels` along the spec's channel axis.
std::unique_ptr<FakeQuantizer> make_fake_quantizer(std::string_view name, const TensorSpec& spec,
                                                   std::string_view observer, int64_t channels);
/// All words in the order of fake_quantize.def.
const std::vector<std::string_view>& all_fake_quantizers();

}  // namespace facsim::quant
