#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include "adaptors/for_openssl/for_openssl.h"
#include "adaptors/testing/witness.h"

namespace {

// In a process of its own: what has allocated once stays with the allocator it has.
TEST(ForOpensslTooLateTest, TheHooksAreRefusedOnceTheLibraryHasAllocated) {
  OPENSSL_free(OPENSSL_malloc(1));
  ca_testing::Witness witness;
  ASSERT_TRUE(ca_for_openssl_init(witness.get()));
  EXPECT_EQ(
      CRYPTO_set_mem_functions(ca_for_openssl_malloc, ca_for_openssl_realloc, ca_for_openssl_free),
      0);
  OPENSSL_free(OPENSSL_malloc(1));
  EXPECT_EQ(witness.requests, 0U);
}

}  // namespace
