#pragma once
#include <filesystem>
#include <string>

#include "support/temp_folder.h"

namespace lmdeploy::testing {

// A key and a certificate for localhost that it has signed itself, as PEM files.
struct Certificate {
  explicit Certificate(const TempFolder& folder, const std::string& name = "server");
  std::filesystem::path key_file;
  std::filesystem::path cert_file;
};

// The same key, which asks for a passphrase.
std::filesystem::path encrypted_key(const TempFolder& folder, const Certificate& certificate);

}  // namespace lmdeploy::testing
