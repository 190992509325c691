// Each request refused in turn, for once and for good, below every adaptor that turns an allocator
// into something else or something else into an allocator. (What stays an allocator runs the suite of
// refusal.h, and the libraries' hooks have a test of it each.)
#include <gtest/gtest.h>

#include <coroutine>
#include <cstring>
#include <exception>
#include <list>
#include <map>
#include <memory_resource>
#include <new>
#include <string>
#include <vector>

#include "adaptors/coroutine_frame/coroutine_frame.h"
#include "adaptors/from_malloc/from_malloc.h"
#include "adaptors/from_memory_resource/from_memory_resource.h"
#include "adaptors/from_sized/from_sized.h"
#include "adaptors/stl_allocator/stl_allocator.h"
#include "adaptors/testing/witness.h"
#include "adaptors/to_malloc/to_malloc.h"
#include "adaptors/to_memory_resource/to_memory_resource.h"
#include "adaptors/unique_ptr/unique_ptr.h"

namespace {

using ca_testing::Witness;

// The parameter: how many requests are refused at a time.
class ConversionRefusalTest : public testing::TestWithParam<std::size_t> {
 protected:
  ConversionRefusalTest() { witness_.refuse_count = GetParam(); }

  template <typename Workload>
  void RefuseEach(std::size_t requests, Workload workload) {
    EXPECT_GE(ca_testing::RefuseFromEachRequestOn(witness_, workload), requests);
  }

  Witness witness_;
};

INSTANTIATE_TEST_SUITE_P(Refused, ConversionRefusalTest, testing::Values(1, SIZE_MAX),
                         [](const auto &info) { return info.param == 1 ? "Once" : "ForGood"; });

// Blocks come, move and go; what a refusal leaves must be as it was.
bool UseAllocator(ca_allocator *allocator) {
  bool all = true;
  std::vector<ca_block> blocks;
  for (std::size_t i = 1; i <= 6; ++i) {
    const ca_block block = ca_allocate(allocator, i * 20, 16);
    all = all && !ca_block_is_none(block);
    if (ca_block_is_none(block)) continue;
    std::memset(block.ptr, static_cast<int>(i), i * 20);
    blocks.push_back(ca_block_make(block.ptr, i * 20));
  }
  for (ca_block &block : blocks) {
    const char mark = *static_cast<char *>(block.ptr);
    const ca_block moved = ca_reallocate(allocator, block.ptr, block.size, block.size * 3, 16);
    all = all && !ca_block_is_none(moved);
    if (!ca_block_is_none(moved)) block = ca_block_make(moved.ptr, block.size * 3);
    EXPECT_EQ(static_cast<char *>(block.ptr)[19], mark);
  }
  for (const ca_block &block : blocks) ca_deallocate(allocator, block.ptr, block.size, 16);
  return all;
}

TEST_P(ConversionRefusalTest, ToMalloc) {
  ca_to_malloc family;
  ca_to_malloc_init(&family, witness_.get());
  RefuseEach(8, [&family] {
    void *blocks[] = {
        ca_to_malloc_malloc(&family, 100),
        ca_to_malloc_calloc(&family, 10, 10),
        ca_to_malloc_aligned_alloc(&family, 64, 100),
        ca_to_malloc_reallocarray(&family, nullptr, 5, 20),
    };
    bool all = true;
    for (void *&block : blocks) {
      all = all && block != nullptr;
      if (block == nullptr) continue;
      std::memset(block, 7, 100);
      void *const moved = ca_to_malloc_realloc(&family, block, 300);
      all = all && moved != nullptr;
      block = moved != nullptr ? moved : block;
      EXPECT_EQ(static_cast<char *>(block)[99], 7);
    }
    for (void *block : blocks) ca_to_malloc_free(&family, block);
    return all;
  });
}

ca_to_malloc below_family;
const ca_malloc_family kFamily = {
    [](std::size_t size) { return ca_to_malloc_malloc(&below_family, size); },
    [](void *ptr) { ca_to_malloc_free(&below_family, ptr); },
    [](void *ptr, std::size_t size) { return ca_to_malloc_realloc(&below_family, ptr, size); },
    [](std::size_t align, std::size_t size) {
      return ca_to_malloc_aligned_alloc(&below_family, align, size);
    },
    [](void *ptr) { return ca_to_malloc_usable_size(&below_family, ptr); },
};

TEST_P(ConversionRefusalTest, FromMalloc) {
  ca_to_malloc_init(&below_family, witness_.get());
  ca_from_malloc adaptor;
  ASSERT_TRUE(ca_from_malloc_init(&adaptor, &kFamily));
  RefuseEach(12, [&adaptor] { return UseAllocator(ca_from_malloc_allocator(&adaptor)); });
}

TEST_P(ConversionRefusalTest, FromSized) {
  static constexpr ca_sized_functions kFunctions = {
      .allocate =
          [](void *context, std::size_t size, std::size_t align) {
            return ca_allocate(static_cast<ca_allocator *>(context), size, align).ptr;
          },
      .deallocate =
          [](void *context, void *ptr, std::size_t size, std::size_t align) {
            ca_deallocate(static_cast<ca_allocator *>(context), ptr, size, align);
          },
      .resize_in_place = nullptr,
      .resize =
          [](void *context, void *ptr, std::size_t size, std::size_t new_size, std::size_t align) {
            return ca_reallocate(static_cast<ca_allocator *>(context), ptr, size, new_size, align)
                .ptr;
          },
      .good_size = nullptr,
      .usable_size = nullptr,
      .deallocate_unsized = nullptr,
      .owns = nullptr,
      .most_align = 0,
  };
  ca_from_sized adaptor;
  ASSERT_TRUE(ca_from_sized_init(&adaptor, &kFunctions, witness_.get()));
  RefuseEach(12, [&adaptor] { return UseAllocator(ca_from_sized_allocator(&adaptor)); });
}

// The standard's own way of refusing, taken and given.
TEST_P(ConversionRefusalTest, FromAThrowingMemoryResource) {
  ca::to_memory_resource resource(witness_.get());
  ca::from_memory_resource adaptor(&resource);
  RefuseEach(12, [&adaptor] { return UseAllocator(adaptor.allocator()); });
}

template <typename Workload>
bool IsServed(Workload workload) {
  try {
    workload();
    return true;
  } catch (const std::bad_alloc &) {
    return false;
  }
}

TEST_P(ConversionRefusalTest, ToMemoryResource) {
  ca::to_memory_resource resource(witness_.get());
  RefuseEach(20, [&resource] {
    return IsServed([&resource] {
      std::pmr::map<int, std::pmr::string> map(&resource);
      for (int i = 0; i < 10; ++i) map[i] = std::string(50, 'x');
      std::pmr::vector<int> vector(&resource);
      for (int i = 0; i < 100; ++i) vector.push_back(i);
    });
  });
}

TEST_P(ConversionRefusalTest, StlAllocator) {
  using String = std::basic_string<char, std::char_traits<char>, ca::stl_allocator<char>>;
  RefuseEach(15, [this] {
    return IsServed([this] {
      std::list<String, ca::stl_allocator<String>> list(witness_.get());
      for (int i = 0; i < 5; ++i) list.emplace_back(50, 'x', witness_.get());
      std::vector<int, ca::stl_allocator<int>> vector(witness_.get());
      for (int i = 0; i < 100; ++i) vector.push_back(i);
    });
  });
}

TEST_P(ConversionRefusalTest, UniquePtr) {
  RefuseEach(3, [this] {
    const ca::unique_ptr<int> quiet = ca::try_make_unique<int>(witness_.get(), 7);
    const bool others = IsServed([this] {
      const auto one = ca::make_unique<std::string>(witness_.get(), "text");
      const auto many = ca::make_unique<int[]>(witness_.get(), 10);
    });
    return quiet != nullptr && others;
  });
}

struct Task {
  struct promise_type : ca::coroutine_frame<> {
    Task get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

Task CountUp(std::allocator_arg_t, ca_allocator *, int *ran) {
  ++*ran;
  co_return;
}

TEST_P(ConversionRefusalTest, CoroutineFrame) {
  RefuseEach(2, [this] {
    int ran = 0;
    int served = 0;
    for (int i = 0; i < 2; ++i) {
      served +=
          IsServed([&] { CountUp(std::allocator_arg, witness_.get(), &ran).handle.destroy(); });
    }
    EXPECT_EQ(ran, served);
    return served == 2;
  });
}

}  // namespace
