#include "adaptors/retry/retry.h"

#include <gtest/gtest.h>

#include <vector>

#include "allocators/bump/bump.h"

namespace {

class RetryTest : public testing::Test {
 protected:
  RetryTest() {
    ca_bump_init_range(&bump_, ca_block_make(memory_, sizeof memory_), CA_SIZES_FORGOTTEN);
    ca_retry_init(&retry_, ca_bump_allocator(&bump_), Callback, this);
  }
  ~RetryTest() override { ca_bump_destroy(&bump_); }

  static bool Callback(void *argument, std::size_t size, std::size_t align, std::size_t attempt) {
    auto *self = static_cast<RetryTest *>(argument);
    self->calls_.push_back({size, align, attempt});
    if (self->allocates_within_) {
      EXPECT_TRUE(ca_block_is_none(ca_allocate(self->allocator(), 2000, 16)));
    }
    if (attempt == self->frees_at_) ca_bump_reset(&self->bump_);
    return attempt < self->gives_up_at_;
  }

  ca_allocator *allocator() { return ca_retry_allocator(&retry_); }
  bool Serves(std::size_t size) { return !ca_block_is_none(ca_allocate(allocator(), size, 16)); }
  void Fill() { EXPECT_TRUE(Serves(1000)); }

  struct Call {
    std::size_t size, align, attempt;
  };
  alignas(16) char memory_[1024];
  ca_bump bump_;
  ca_retry retry_;
  std::vector<Call> calls_;
  std::size_t frees_at_ = 0;
  std::size_t gives_up_at_ = 1;
  bool allocates_within_ = false;
};

TEST_F(RetryTest, AsksNobodyAsLongAsThereIsMemory) {
  Fill();
  EXPECT_TRUE(calls_.empty());
}

TEST_F(RetryTest, TellsTheCallbackWhatIsMissingAndGivesUpWhenItDoes) {
  Fill();
  EXPECT_TRUE(ca_block_is_none(ca_allocate(allocator(), 100, 32)));
  ASSERT_EQ(calls_.size(), 1U);
  EXPECT_EQ(calls_[0].size, 100U);
  EXPECT_EQ(calls_[0].align, 32U);
  EXPECT_EQ(calls_[0].attempt, 1U);
}

TEST_F(RetryTest, AsksAgainOnceSomethingWasFreed) {
  Fill();
  frees_at_ = 1;
  gives_up_at_ = 2;
  EXPECT_TRUE(Serves(100));
  EXPECT_EQ(calls_.size(), 1U);
}

TEST_F(RetryTest, AsksAsOftenAsTheCallbackPromisesMore) {
  Fill();
  frees_at_ = 3;
  gives_up_at_ = 9;
  EXPECT_TRUE(Serves(100));
  ASSERT_EQ(calls_.size(), 3U);
  EXPECT_EQ(calls_[2].attempt, 3U);
  Fill();
  EXPECT_TRUE(Serves(100));
  ASSERT_EQ(calls_.size(), 9U);
  EXPECT_EQ(calls_[3].attempt, 1U) << "each request counts its attempts anew";
}

TEST_F(RetryTest, StopsWhenTheCallbackGivesUp) {
  Fill();
  gives_up_at_ = 4;
  EXPECT_FALSE(Serves(100));
  EXPECT_EQ(calls_.size(), 4U);
}

TEST_F(RetryTest, TheCallbackMayAllocateAndIsNotCalledForIt) {
  Fill();
  allocates_within_ = true;
  frees_at_ = 1;
  gives_up_at_ = 2;
  EXPECT_TRUE(Serves(100));
  EXPECT_EQ(calls_.size(), 1U);
  Fill();
  EXPECT_EQ(calls_.size(), 2U) << "and is called again afterwards";
}

TEST_F(RetryTest, IsNotAskedAboutTheImpossible) {
  EXPECT_FALSE(Serves(SIZE_MAX));
  EXPECT_FALSE(Serves(std::size_t{PTRDIFF_MAX} + 1));
  EXPECT_TRUE(calls_.empty());
  EXPECT_FALSE(Serves(PTRDIFF_MAX));
  EXPECT_EQ(calls_.size(), 1U);
}

TEST_F(RetryTest, AGrowAsksNobodyButReallocateDoes) {
  const ca_block block = ca_allocate(allocator(), 500, 16);
  Serves(500);
  EXPECT_TRUE(ca_block_is_none(ca_grow(allocator(), block.ptr, 500, 600, 16, CA_MOVE_ALLOWED)));
  EXPECT_TRUE(calls_.empty());
  EXPECT_TRUE(ca_block_is_none(ca_reallocate(allocator(), block.ptr, 500, 600, 16)));
  EXPECT_EQ(calls_.size(), 1U);
}

TEST_F(RetryTest, WithoutACallbackARefusalIsARefusal) {
  ca_retry_init(&retry_, ca_bump_allocator(&bump_), nullptr, nullptr);
  EXPECT_TRUE(Serves(1000));
  EXPECT_FALSE(Serves(1000));
}

TEST_F(RetryTest, OffersWhatTheInnerAllocatorOffers) {
  ca_bump_destroy(&bump_);
  ca_bump_init_range(&bump_, ca_block_make(memory_, sizeof memory_), CA_SIZES_RECORDED);
  ca_retry_init(&retry_, ca_bump_allocator(&bump_), nullptr, nullptr);
  const ca_block block = ca_allocate(allocator(), 40, 16);
  EXPECT_EQ(allocator()->ops->usable_size(allocator(), block.ptr), 40U);
  allocator()->ops->deallocate_unsized(allocator(), block.ptr);
  EXPECT_LE(ca_bump_used(&bump_), 8U);
}

}  // namespace
