#include "client/digest.h"

#include <gtest/gtest.h>

namespace lmdeploy::client {
namespace {

TEST(Digest, Sha256OfTheStandardsExample) {
  Digest digest = Digest::sha256();
  digest.update("a");
  digest.update("bc");
  EXPECT_EQ(digest.finish(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, GitsNameOfABlob) {  // printf 'hello\n' | git hash-object --stdin
  Digest digest = Digest::git_blob(6);
  digest.update("hello\n");
  EXPECT_EQ(digest.finish(), "ce013625030ba8dba906f756967f9e9ca394464a");
}

}  // namespace
}  // namespace lmdeploy::client
