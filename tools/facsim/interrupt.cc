// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/interrupt.h"

#include <csignal>

#include <unistd.h>

namespace facsim::cli {

namespace {

volatile std::sig_atomic_t interrupt_seen = 0;

extern "C" void on_interrupt(int) {
  if (interrupt_seen != 0) _exit(130);
  interrupt_seen = 1;
}

struct sigaction interrupt_action() {
  struct sigaction action = {};
  action.sa_handler = on_interrupt;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  return action;
}

}  // namespace

void catch_interrupts() {
  const struct sigaction action = interrupt_action();
  sigaction(SIGINT, &action, nullptr);
}

TerminationInterrupts::TerminationInterrupts() {
  const struct sigaction action = interrupt_action();
  sigaction(SIGTERM, &action, &before_);
}

TerminationInterrupts::~TerminationInterrupts() { sigaction(SIGTERM, &before_, nullptr); }

void report_file_size_limit() { std::signal(SIGXFSZ, SIG_IGN); }

bool interrupted() { return interrupt_seen != 0; }

void throw_if_interrupted() {
  if (interrupted()) throw Interrupted{};
}

}  // namespace facsim::cli
