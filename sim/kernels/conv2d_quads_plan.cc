// SPDX-License-Identifier: Apache-2.0
#include "sim/kernels/conv2d_quads_forms-internal.h"
#include "sim/kernels/conv2d_tile-internal.h"

namespace facsim::sim {
namespace {

struct FormSize {
  int groups = 0;
  int64_t pixels = 0;
};

FormSize size_of_form(const QuadsForm& form) {
  FormSize size;
  for (const int8_t count : form) {
    size.groups += count > 0 ? 1 : 0;
    size.pixels += count;
  }
  return size;
}

bool begins_with(std::span<const PixelGroup> groups, const QuadsForm& form) {
  for (size_t i = 0; i < form.size() && form[i] > 0; ++i) {
    if (i >= groups.size() || groups[i].count != form[i]) return false;
  }
  return true;
}

}  // namespace

void plan_quads_tiles(std::span<const PixelGroup> groups, std::vector<PixelTile>& tiles) {
  tiles.clear();
  int64_t pixel = 0, batch = kBatchPixels;
  for (size_t g = 0; g < groups.size();) {
    int form = 0;
    while (!begins_with(groups.subspan(g), kQuadsForms[form])) ++form;  // one group always fits
    const FormSize size = size_of_form(kQuadsForms[form]);
    const bool starts_batch = batch + size.pixels > kBatchPixels;
    batch = (starts_batch ? 0 : batch) + size.pixels;
    tiles.push_back({form, static_cast<int32_t>(g), pixel, size.pixels, starts_batch});
    g += static_cast<size_t>(size.groups);
    pixel += size.pixels;
  }
}

}  // namespace facsim::sim
