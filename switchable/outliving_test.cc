// What must outlive a request, made from inside it. Run with libc's malloc, where only the object
// itself can come from a context, and behind //switchable:malloc, where all that it allocates
// could.
#include "switchable/outliving.h"

#include <gtest/gtest.h>

#include <csetjmp>
#include <cstdint>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "switchable/outliving_object.h"
#include "switchable/switchable.h"

namespace {

// Swapped in for the time of a test.
class OutlivingTest : public testing::Test {
 protected:
  OutlivingTest() { EXPECT_EQ(ca_context_swap_in(context_), CA_CONTEXT_DONE); }
  ~OutlivingTest() override { End(); }

  // The request ends.
  void End() {
    if (ca_context_is_none(context_)) return;
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_COROUTINE);
    ca_context_swap_out();
    EXPECT_EQ(ca_context_destroy(context_), CA_CONTEXT_DONE);
    context_ = {};
  }
  bool IsOfContext(const void *ptr) const {
    return reinterpret_cast<std::uintptr_t>(ptr) -
               reinterpret_cast<std::uintptr_t>(context_.header) <
           ca_context_count(context_).slot_size;
  }

  ca_context context_ = ca_context_create(nullptr);
};

TEST_F(OutlivingTest, BlocksAreGlobalWhoeverIsCurrent) {
  const std::uint64_t before = ca_context_count(context_).allocations;
  const ca_block block = ca_outliving_allocate(100, 16);
  const ca_block aligned = ca_outliving_allocate(100, 4096);
  const ca_block clone = ca_outliving_clone("a clone", 8, 64);
  char *const text = ca_outliving_clone_string("twenty-four characters..");
  EXPECT_EQ(ca_context_count(context_).allocations, before);
  ASSERT_FALSE(ca_block_is_none(block));
  EXPECT_GE(block.size, 100U);
  EXPECT_TRUE(ca_is_aligned(aligned.ptr, 4096));
  EXPECT_TRUE(ca_is_aligned(clone.ptr, 64));
  std::memset(block.ptr, 1, block.size);
  End();
  EXPECT_STREQ(static_cast<char *>(clone.ptr), "a clone");
  EXPECT_STREQ(text, "twenty-four characters..");
  ca_outliving_free(block.ptr);
  ca_outliving_free(aligned.ptr);
  ca_switchable_deallocate(clone.ptr);
  std::thread([text] { ca_outliving_free(text); }).join();
  ca_outliving_free(nullptr);
}

TEST_F(OutlivingTest, ARefusalIsNone) {
  EXPECT_TRUE(ca_block_is_none(ca_outliving_allocate(SIZE_MAX, 16)));
  EXPECT_TRUE(ca_block_is_none(ca_outliving_clone("text", PTRDIFF_MAX - 100, 16)));
}

using OutlivingDeathTest = OutlivingTest;

TEST_F(OutlivingDeathTest, AContextsBlockWouldNotHaveOutlivedIt) {
  void *const ptr = ca_switchable_allocate(100, 16).ptr;
  ca_switchable_use(CA_CURRENT_GLOBAL);  // GoogleTest keeps a death's message.
  EXPECT_DEATH(ca_outliving_free(ptr), "outliving_free\\(0x[0-9a-f]+\\): a context's block");
  ca_switchable_use(CA_CURRENT_COROUTINE);
}

// Notes under whom it is made, copied, changed and destroyed.
struct Witness {
  static inline int alive = 0;
  static inline int wrong = 0;
  static inline bool throws = false;

  explicit Witness(int number) : value(number) { Made(); }
  Witness(const Witness &other) : value(other.value) { Made(); }
  ~Witness() {
    wrong += ca_switchable_current() != CA_CURRENT_GLOBAL;
    alive--;
  }
  void Made() {
    wrong += ca_switchable_current() != CA_CURRENT_GLOBAL;
    if (throws) throw std::runtime_error("thrown by a constructor");
    alive++;
  }
  bool operator==(const Witness &other) const { return value == other.value; }
  bool operator<(const Witness &other) const { return value < other.value; }

  int value;
};

class ObjectTest : public OutlivingTest {
 protected:
  ObjectTest() { Witness::alive = Witness::wrong = 0; }
  ~ObjectTest() override {
    EXPECT_EQ(Witness::alive, 0);
    EXPECT_EQ(Witness::wrong, 0);
  }
};

TEST_F(ObjectTest, IsMadeClonedChangedAndDestroyedUnderTheGlobalAllocator) {
  auto object = ca::make_outliving<Witness>(7);
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_COROUTINE);
  EXPECT_FALSE(IsOfContext(object.get()));
  ca::outliving<Witness> clone = object.clone();
  EXPECT_NE(clone.get(), object.get());
  EXPECT_EQ(clone->value, 7);
  clone.change([](Witness &witness) {
    EXPECT_EQ(ca_switchable_current(), CA_CURRENT_GLOBAL);
    witness.value = 8;
  });
  EXPECT_EQ(object->value, 7);
  object.emplace(*object);  // A copy of itself.
  EXPECT_EQ((*object).value, 7);
  EXPECT_EQ(Witness::alive, 2);
  object.reset();
  EXPECT_FALSE(object);
  EXPECT_EQ(Witness::alive, 1);
}

TEST_F(ObjectTest, MovesWithoutTouchingTheObject) {
  auto first = ca::make_outliving<Witness>(1);
  const Witness *const object = first.get();
  ca::outliving<Witness> second = std::move(first);
  EXPECT_EQ(second.get(), object);
  EXPECT_EQ(first.get(), nullptr);
  first = ca::make_outliving<Witness>(2);
  first = std::move(second);
  EXPECT_EQ(first.get(), object);
  EXPECT_EQ(Witness::alive, 1) << "what was assigned to is destroyed";
  swap(first, second);
  EXPECT_EQ(second.get(), object);
  auto &self = second;
  second = std::move(self);
  EXPECT_EQ(second.get(), object);
  std::vector<ca::outliving<Witness>> many;
  for (int i = 0; i < 100; ++i) many.push_back(ca::make_outliving<Witness>(i));
  EXPECT_EQ(many[57]->value, 57);
  static_assert(!std::is_copy_constructible_v<ca::outliving<Witness>>, "a copy is a clone");
}

TEST_F(ObjectTest, ComparesWhatItHolds) {
  const auto one = ca::make_outliving<Witness>(1);
  const auto two = ca::make_outliving<Witness>(2);
  const ca::outliving<Witness> empty;
  EXPECT_TRUE(one == one.clone());
  EXPECT_TRUE(one != two);
  EXPECT_TRUE(one < two && one <= two && two > one && two >= one);
  EXPECT_TRUE(one <= one && one >= one);
  EXPECT_FALSE(two < one);
  EXPECT_TRUE(empty == empty.clone());
  EXPECT_TRUE(empty != one && empty < one && one > empty);
  EXPECT_FALSE(empty < empty);
}

TEST_F(ObjectTest, AConstructorThatThrowsLosesNothing) {
  auto object = ca::make_outliving<Witness>(7);
  Witness::throws = true;
  EXPECT_THROW((void)ca::make_outliving<Witness>(1), std::runtime_error);
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_COROUTINE);
  EXPECT_THROW((void)object.clone(), std::runtime_error);
  EXPECT_THROW(object.emplace(2), std::runtime_error);
  EXPECT_EQ(object->value, 7) << "still there";
  Witness::throws = false;
  EXPECT_THROW(object.change([](Witness &) { throw std::logic_error("thrown by a change"); }),
               std::logic_error);
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_COROUTINE);
}

struct Unaffordable {
  char bytes[std::size_t{1} << 56];
};

TEST_F(ObjectTest, ARefusalIsBadAlloc) {
  EXPECT_THROW((void)ca::make_outliving<Unaffordable>(), std::bad_alloc);
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_COROUTINE);
}

TEST_F(ObjectTest, AChangeLeftByLongjmpGivesBack) {
  static jmp_buf target;
  static ca::outliving<Witness> object;
  object = ca::make_outliving<Witness>(7);
  if (setjmp(target) == 0) object.change([](Witness &) { longjmp(target, 1); });
  EXPECT_EQ(ca_switchable_current(), CA_CURRENT_COROUTINE);
  object.reset();
}

// What the object allocates by itself outlives the context as well.

const std::string kLong(100, 'x');

TEST_F(OutlivingTest, TakesOverNoBufferOfTheContext) {
  std::string local = kLong;
  auto object = ca::make_outliving<std::string>(std::move(local));
  EXPECT_EQ(local, kLong) << "was copied";
  EXPECT_FALSE(IsOfContext(object->data()));
  object.emplace(std::move(local));
  EXPECT_FALSE(IsOfContext(object->data()));
  EXPECT_EQ(local, *object);
}

TEST_F(OutlivingTest, AMapMadeAndFilledInAContextOutlivesIt) {
  using Map = std::map<std::string, std::vector<int>>;
  auto map = ca::make_outliving<Map>();
  map.change([](Map &changed) {
    for (int i = 0; i < 1000; ++i) changed[kLong + std::to_string(i % 50)].push_back(i);
  });
  auto clone = map.clone();
  for (const auto &[key, values] : *clone) {
    EXPECT_FALSE(IsOfContext(key.data()));
    EXPECT_FALSE(IsOfContext(values.data()));
  }
  EXPECT_TRUE(map == clone);
  End();
  EXPECT_EQ(map->size(), 50U);
  EXPECT_EQ(clone->at(kLong + "7").front(), 7);
  std::thread([&clone] { clone.reset(); }).join();
}

TEST_F(OutlivingTest, AnExceptionThrownByTheObjectOutlivesTheContext) {
  std::exception_ptr thrown;
  try {
    auto object = ca::make_outliving<std::string>();
    object.change([](std::string &) { throw std::runtime_error(kLong); });
  } catch (...) {
    thrown = std::current_exception();
  }
  End();
  try {
    std::rethrow_exception(thrown);
  } catch (const std::runtime_error &error) {
    EXPECT_EQ(error.what(), kLong);
  }
}

}  // namespace
