// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/cli.h"

int main(int argc, char** argv) { return facsim::cli::run(argc, argv); }
