// SPDX-License-Identifier: Apache-2.0
#pragma once

// The tables of a .tflite, made from tflite.fbs: namespace facsim::backends::tflite.
#include "backends/tflite/tflite_generated.h"
