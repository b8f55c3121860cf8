#pragma once
// Files that are part of the program. Private to *_files.cc.

// Declares symbol_begin and symbol_end around the bytes of `file`, which the assembler looks for in the
// folders of its -I options (CMakeLists.txt).
// clang-format off
#define LMDEPLOY_EMBED(symbol, file)                     \
  asm(".pushsection .rodata\n"                           \
      ".globl  " #symbol "_begin, " #symbol "_end\n"     \
      ".hidden " #symbol "_begin, " #symbol "_end\n"     \
      #symbol "_begin: .incbin \"" file "\"\n"           \
      #symbol "_end:\n"                                  \
      ".popsection");                                    \
  extern "C" const char symbol##_begin[];                \
  extern "C" const char symbol##_end[]
// clang-format on
