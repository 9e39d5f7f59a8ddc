// SPDX-License-Identifier: Apache-2.0
#include "tests/peers/tally.h"

#include <fmt/format.h>

#include <cstdlib>

namespace facsim::test {

uint64_t from_environment(const char* name, uint64_t fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 0);
}

Tally::Tally(std::string peer) : peer_(std::move(peer)), start_(std::chrono::steady_clock::now()) {}

Tally::~Tally() {
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  fmt::print("{}: {} layers, {} values compared, {} mismatches, {} refused by both, {:.1f} s\n",
             peer_, layers_, values_, mismatches_, refused_, seconds);
  if (ops_.size() < 2) return;
  for (const auto& [op, count] : ops_) {
    fmt::print("{}, {}: {} layers, {} values compared, {} mismatches\n", peer_, op, count.layers,
               count.values, count.mismatches);
  }
}

void Tally::add(const Layer& layer, const Tensor& peer, const Tensor& ours,
                const std::string& how) {
  ++layers_;
  PerOp& count = ops_[layer.op];
  ++count.layers;
  if (peer.dtype() != ours.dtype() || peer.shape() != ours.shape()) {
    ++mismatches_;
    ++count.mismatches;
    fmt::print("{}: shape {} and {}: {}\n", peer_, to_string(peer.shape()), to_string(ours.shape()),
               layer.text());
    return;
  }
  values_ += peer.numel();
  count.values += peer.numel();
  const bool real = peer.dtype() == DType::float32;
  int64_t differing = 0;
  std::string first;
  for (int64_t i = 0; i < peer.numel(); ++i) {
    const bool equal =
        real ? peer.data<float>()[i] == ours.data<float>()[i] : peer.int_at(i) == ours.int_at(i);
    if (equal || ++differing > 1) continue;
    const auto value = [&](const Tensor& t) {
      return real ? static_cast<double>(t.data<float>()[i]) : static_cast<double>(t.int_at(i));
    };
    first = fmt::format("at {} peer {}, ours {}", i, value(peer), value(ours));
  }
  mismatches_ += differing;
  count.mismatches += differing;
  if (differing > 0 && ++shown_ <= 10) {
    fmt::print("{}: {} of {} differ, {}: {} {}\n", peer_, differing, peer.numel(), first,
               layer.text(), how);
  }
}

void Tally::add_refusal(const Layer& layer, bool peer_refused, const std::string& reason) {
  if (peer_refused && !reason.empty()) {
    ++refused_;
    return;
  }
  if (++disagreements_ <= 5) {
    fmt::print("{}: refused by {} only: {}; {}\n", peer_, peer_refused ? "the peer" : "us",
               layer.text(), reason);
  }
}

}  // namespace facsim::test
