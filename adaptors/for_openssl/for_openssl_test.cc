#include "adaptors/for_openssl/for_openssl.h"

#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "adaptors/testing/witness.h"

namespace {

static_assert(std::is_same_v<decltype(&ca_for_openssl_malloc), CRYPTO_malloc_fn>);
static_assert(std::is_same_v<decltype(&ca_for_openssl_realloc), CRYPTO_realloc_fn>);
static_assert(std::is_same_v<decltype(&ca_for_openssl_free), CRYPTO_free_fn>);

// The library is set up once per process; what it keeps goes when it is cleaned up.
ca_testing::Witness &TheWitness() {
  static auto *const witness = new ca_testing::Witness;
  return *witness;
}

class Library : public testing::Environment {
  void SetUp() override {
    ASSERT_TRUE(ca_for_openssl_init(TheWitness().get()));
    ASSERT_EQ(CRYPTO_set_mem_functions(ca_for_openssl_malloc, ca_for_openssl_realloc,
                                       ca_for_openssl_free),
              1);
    ASSERT_EQ(OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr), 1);
  }
  void TearDown() override {
    OPENSSL_cleanup();
    EXPECT_EQ(TheWitness().live_blocks(), 0U);
  }
};

testing::Environment *const kLibrary = testing::AddGlobalTestEnvironment(new Library);

// Each returns a text that proves the work was done; empty: it failed.
struct Work {
  const char *name;
  std::string (*work)();
  const char *answer;
};

std::string Hex(const unsigned char *bytes, std::size_t size) {
  std::string text;
  for (std::size_t i = 0; i < size; ++i) {
    text += "0123456789abcdef"[bytes[i] / 16];
    text += "0123456789abcdef"[bytes[i] % 16];
  }
  return text;
}

std::string Digest() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  const bool right = context != nullptr && EVP_DigestInit_ex(context, EVP_sha256(), nullptr) &&
                     EVP_DigestUpdate(context, "abc", 3) &&
                     EVP_DigestFinal_ex(context, digest, &size);
  EVP_MD_CTX_free(context);
  return right ? Hex(digest, 4) : "";
}

std::string Encrypt() {
  const unsigned char key[16] = {};
  unsigned char out[64];
  int size = 0;
  EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
  const bool right = context != nullptr &&
                     EVP_EncryptInit_ex(context, EVP_aes_128_ecb(), nullptr, key, nullptr) &&
                     EVP_EncryptUpdate(context, out, &size, key, 16);
  EVP_CIPHER_CTX_free(context);
  return right ? Hex(out, 4) : "";
}

std::string BigNumber() {
  BIGNUM *number = BN_new();
  BN_CTX *context = BN_CTX_new();
  std::string text;
  if (number != nullptr && context != nullptr && BN_set_word(number, 3) &&
      BN_lshift(number, number, 100) && BN_sqr(number, number, context)) {
    char *decimal = BN_bn2dec(number);
    if (decimal != nullptr) text.assign(decimal, 6);
    OPENSSL_free(decimal);
  }
  BN_CTX_free(context);
  BN_free(number);
  return text;
}

const Work kWorks[] = {
    {"Digest", Digest, "ba7816bf"},
    {"Encrypt", Encrypt, "66e94bd4"},
    {"BigNumber", BigNumber, "144624"},
};

class ForOpensslTest : public testing::TestWithParam<Work> {};

TEST_P(ForOpensslTest, LivesInTheAllocatorAndGivesAllOfItBack) {
  EXPECT_EQ(GetParam().work(), GetParam().answer);  // Also loads what the library keeps.
  const std::size_t before = TheWitness().live_blocks();
  const std::size_t requests = TheWitness().requests;
  EXPECT_EQ(GetParam().work(), GetParam().answer);
  EXPECT_GT(TheWitness().requests, requests);
  EXPECT_EQ(TheWitness().live_blocks(), before);
}

TEST_P(ForOpensslTest, WhereverMemoryEndsTheFunctionsFail) {
  ASSERT_EQ(GetParam().work(), GetParam().answer);
  ERR_clear_error();
  const std::size_t runs = ca_testing::RefuseEachRequest(TheWitness(), [] {
    const std::string answer = GetParam().work();
    ERR_clear_error();
    return answer == GetParam().answer;
  });
  EXPECT_GT(runs, 1U);
}

INSTANTIATE_TEST_SUITE_P(Works, ForOpensslTest, testing::ValuesIn(kWorks),
                         [](const auto &info) { return std::string(info.param.name); });

TEST(ForOpensslTest, BlocksOfTheLibraryAreTheAllocators) {
  void *block = OPENSSL_malloc(10);
  EXPECT_TRUE(TheWitness().Owns(block));
  block = OPENSSL_realloc(block, 100);
  EXPECT_TRUE(TheWitness().Owns(block));
  OPENSSL_free(block);
  OPENSSL_free(nullptr);
  char *const text = OPENSSL_strdup("text");
  EXPECT_TRUE(TheWitness().Owns(text));
  OPENSSL_free(text);
}

TEST(ForOpensslTest, NoAllocatorIsNotChosen) {
  EXPECT_FALSE(ca_for_openssl_init(nullptr));
  EXPECT_EQ(Digest(), "ba7816bf") << "the one before stays";
}

}  // namespace
