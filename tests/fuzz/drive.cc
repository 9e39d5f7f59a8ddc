// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz entry without libFuzzer: its seeds, and mutations of them in an order that the seed
// number fixes. An input that takes longer than --seconds, or memory above --megabytes, fails the
// run as a crash does; the input is written to --crash first.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <stdexcept>

#include "tests/fuzz/fuzz.h"

namespace facsim::fuzz {

namespace {

struct Options {
  int64_t runs = 10000;
  uint64_t seed = 1;
  double seconds = 5, total_seconds = 1e9;
#if defined(__SANITIZE_ADDRESS__)
  int64_t megabytes = 2048;  // freed memory is held back
#else
  int64_t megabytes = 512;
#endif
  std::string crash = "crash-input", write_seeds;
  std::vector<std::string> inputs;  ///< files to run as they are, instead of mutations
};

/// Mutations that parsers of binary formats and of text fear.
class Mutator {
 public:
  Mutator(std::vector<std::string> corpus, uint64_t seed)
      : corpus_(std::move(corpus)), random_(seed) {}

  std::string next() {
    std::string input = pick(corpus_);
    const uint64_t count = 1 + below(6);
    for (uint64_t i = 0; i < count; ++i) mutate(input);
    return input;
  }

 private:
  /// std::uniform_int_distribution differs between libraries.
  uint64_t below(uint64_t end) { return end == 0 ? 0 : random_() % end; }
  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[below(from.size())];
  }

  void mutate(std::string& input) {
    if (input.empty()) input.assign(8, '\0');
    const size_t at = below(input.size());
    switch (below(9)) {
      case 0:
        input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
        break;
      case 1:
        input[at] = static_cast<char>(random_());
        break;
      case 2:
        put<uint32_t>(input, at & ~size_t{3});
        break;
      case 3:
        put<uint16_t>(input, at & ~size_t{1});
        break;
      case 4:
        put<uint64_t>(input, at & ~size_t{7});
        break;
      case 5:
        input.resize(at);
        break;
      case 6:
        input.erase(at, 1 + below(16));
        break;
      case 7:
        input.insert(at, input.substr(below(input.size()), 1 + below(32)));
        break;
      default: {  // a piece of another input
        const std::string& other = pick(corpus_);
        input.replace(at, below(64), other.substr(below(other.size()), below(64)));
      }
    }
  }

  template <class T>
  void put(std::string& input, size_t at) {
    static const std::vector<uint64_t> kValues = {0,          1,          2,          3,
                                                  4,          8,          127,        128,
                                                  255,        256,        0x7FFF,     0x8000,
                                                  0xFFFF,     0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
                                                  0xFFFFFFFE, 1ULL << 62, 1ULL << 63, ~uint64_t{0},
                                                  0x7F800000, 0x7FC00000, 1065353216};
    const T value = static_cast<T>(below(4) == 0 ? random_() : pick(kValues));
    if (at + sizeof(T) <= input.size()) std::memcpy(input.data() + at, &value, sizeof(T));
  }

  std::vector<std::string> corpus_;
  std::mt19937_64 random_;
};

void write_bytes(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary).write(bytes.data(), static_cast<long>(bytes.size()));
}

int64_t peak_megabytes() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

/// One input, from memory that ends where the input does, so that a sanitizer sees reads behind it.
void run_one(const std::string& input, const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<uint8_t> exact(input.begin(), input.end());
  std::string problem;
  try {
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
  } catch (const std::exception& e) {
    problem = e.what();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (problem.empty() && took.count() > options.seconds) {
    problem = "takes " + std::to_string(took.count()) + " s";
  }
  if (problem.empty() && peak_megabytes() > options.megabytes) {
    problem = "takes " + std::to_string(peak_megabytes()) + " MB";
  }
  if (problem.empty()) return;
  write_bytes(options.crash, input);
  throw std::runtime_error(problem + " (input in " + options.crash + ")");
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (!name.starts_with("--")) {
      options.inputs.push_back(name);
      continue;
    }
    if (i + 1 == argc) throw std::runtime_error(name + " needs a value");
    const char* value = argv[++i];
    if (name == "--runs") {
      options.runs = std::atoll(value);
    } else if (name == "--seed") {
      options.seed = static_cast<uint64_t>(std::atoll(value));
    } else if (name == "--seconds") {
      options.seconds = std::atof(value);
    } else if (name == "--for-seconds") {
      options.total_seconds = std::atof(value);
      options.runs = INT64_MAX;
    } else if (name == "--megabytes") {
      options.megabytes = std::atoll(value);
    } else if (name == "--crash") {
      options.crash = value;
    } else if (name == "--write-seeds") {
      options.write_seeds = value;
    } else {
      throw std::runtime_error("unknown option " + name);
    }
  }
  return options;
}

void drive(const Options& options) {
  const std::vector<std::string> good = seeds();
  if (!options.write_seeds.empty()) {
    std::filesystem::create_directories(options.write_seeds);
    for (size_t i = 0; i < good.size(); ++i) {
      write_bytes(std::filesystem::path(options.write_seeds) / ("seed-" + std::to_string(i)),
                  good[i]);
    }
    return;
  }
  for (const std::string& file : options.inputs) {
    std::ifstream in(file, std::ios::binary);
    run_one({std::istreambuf_iterator<char>(in), {}}, options);
  }
  if (!options.inputs.empty()) return;
  for (const std::string& seed : good) run_one(seed, options);
  Mutator mutator(good, options.seed);
  const auto start = std::chrono::steady_clock::now();
  int64_t runs = 0;
  for (; runs < options.runs; ++runs) {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    if (spent.count() > options.total_seconds) break;
    run_one(mutator.next(), options);
  }
  std::cout << good.size() << " seeds, " << runs << " mutations, " << peak_megabytes() << " MB\n";
}

}  // namespace

}  // namespace facsim::fuzz

int main(int argc, char** argv) {
  try {
    facsim::fuzz::drive(facsim::fuzz::parse(argc, argv));
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "fuzz: " << e.what() << "\n";
    return 1;
  }
}
