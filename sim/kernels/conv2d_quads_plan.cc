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

void plan_quads_tiles(std::span<const PixelGroup> groups, size_t first, size_t end,
                      int64_t first_pixel, std::vector<PixelTile>& tiles) {
  int64_t pixel = first_pixel, batch = kBatchPixels;
  for (size_t g = first; g < end;) {
    int form = 0;  // one group always fits
    while (!begins_with(groups.subspan(g, end - g), kQuadsForms[form])) ++form;
    const FormSize size = size_of_form(kQuadsForms[form]);
    const bool starts_batch = batch + size.pixels > kBatchPixels;
    batch = (starts_batch ? 0 : batch) + size.pixels;
    tiles.push_back({form, static_cast<int32_t>(g - first), pixel, size.pixels, starts_batch});
    g += static_cast<size_t>(size.groups);
    pixel += size.pixels;
  }
}

}  // namespace facsim::sim
