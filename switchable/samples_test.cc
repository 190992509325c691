#include "switchable/samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "switchable/quarantine.h"
#include "switchable/switchable.h"

// Has a name at run time, and allocates.
extern "C" __attribute__((noinline)) void *the_culprit(std::size_t size) {
  void *const block = ca_switchable_allocate(size, 16).ptr;
  __asm__ volatile("" ::: "memory");  // No tail call.
  return block;
}

namespace {

ca_context Create(unsigned sample, ca_context_policy on_destroy = CA_CONTEXT_RELEASE) {
  ca_context_settings settings{};
  settings.budget = 40000;
  settings.sample = sample;
  settings.on_destroy = on_destroy;
  const ca_context context = ca_context_create(&settings);
  EXPECT_EQ(ca_context_swap_in(context), CA_CONTEXT_DONE);
  return context;
}

// What is said of the pointer; empty: nothing.
std::string Said(const void *ptr) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const bool known = ca_samples_report(ptr, ends[1]);
  close(ends[1]);
  std::string text(10000, '\0');
  text.resize(static_cast<std::size_t>(read(ends[0], text.data(), text.size())));
  close(ends[0]);
  EXPECT_EQ(known, !text.empty());
  return text;
}

TEST(SamplesTest, NothingIsSampledUnasked) {
  const ca_context context = Create(0);
  const void *const block = the_culprit(101);  // Others may have been sampled there before.
  EXPECT_EQ(Said(block).find("block of 101 "), std::string::npos);
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST(SamplesTest, SaysWhoAllocatedWhatAPointerLiesIn) {
  const ca_context context = Create(1);
  const auto *block = static_cast<char *>(the_culprit(100));
  const std::string text = Said(block + 40);
  EXPECT_THAT(text, testing::StartsWith("context_allocator: byte 40 of the block of 100 at 0x"));
  EXPECT_THAT(text, testing::HasSubstr("the_culprit"));
  EXPECT_EQ(Said(block + 100), "");
  EXPECT_EQ(Said(block - 1), "");
  EXPECT_EQ(Said(nullptr), "");
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
  EXPECT_EQ(Said(block + 40), text) << "also when it is gone";
}

TEST(SamplesTest, SamplesEachNthAndByDefaultAsIsSaid) {
  ca_samples_set_default(3);
  for (const unsigned each : {3U, 0U, 5U}) {
    const ca_context context = Create(each);
    std::vector<const void *> blocks;
    for (int i = 0; i < 30; ++i) blocks.push_back(the_culprit(50 + each));
    int known = 0;
    for (const void *block : blocks) {
      known +=
          Said(block).find("the block of " + std::to_string(50 + each) + " ") != std::string::npos;
    }
    EXPECT_EQ(known, each == 5 ? 6 : 10);
    ca_context_swap_out();
    EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
  }
  ca_samples_set_default(0);
}

TEST(SamplesTest, TheNewestOfMoreThanTheRingHoldsAreKept) {
  const ca_context context = Create(1);
  const void *const oldest = the_culprit(7);
  for (int i = 0; i < CA_SAMPLES; ++i) ca_switchable_deallocate(the_culprit(1000));
  EXPECT_EQ(Said(oldest), "");
  EXPECT_NE(Said(the_culprit(7)), "");
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
}

TEST(SamplesDeathTest, AFreeIntoADestroyedContextNamesWhoAllocated) {
  const ca_context context = Create(1);
  void *const block = the_culprit(100);
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
  EXPECT_DEATH(ca_switchable_deallocate(block),
               "byte 0 of the block of 100 at(.|\n)*the_culprit(.|\n)*its context was destroyed");
}

TEST(SamplesDeathTest, ATouchOfQuarantinedMemoryNamesWhoAllocated) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer reports first";
#endif
  const ca_context context = Create(1, CA_CONTEXT_QUARANTINE);
  auto *const block = static_cast<volatile char *>(the_culprit(100));
  ca_context_swap_out();
  EXPECT_EQ(ca_context_destroy(context), CA_CONTEXT_DONE);
  EXPECT_DEATH(
      {
        ca_quarantine_report_faults();
        block[9] = 1;
      },
      "touched 0x(.|\n)*byte 9 of the block of 100 at(.|\n)*the_culprit");
}

}  // namespace
