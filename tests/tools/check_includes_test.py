"""tools/check_includes.py finds what it should and nothing else."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import check_includes  # noqa: E402


def rules_broken(path: str, text: str) -> list[str]:
    return [rule for _, rule in check_includes.breaches(path, text)]


class CheckIncludes(unittest.TestCase):
    def assert_clean(self, path: str, text: str):
        self.assertEqual([], rules_broken(path, text))

    def assert_broken(self, path: str, text: str, hint: str):
        rules = rules_broken(path, text)
        self.assertEqual(1, len(rules), rules)
        self.assertIn(hint, rules[0])

    def test_direction(self):
        self.assert_clean("model/llama.cc", '#include "ops/ops.h"\n#include <vector>\n')
        self.assert_broken("ops/linear.cc", '#include "model/model.h"\n', "not model/model.h")
        self.assert_broken("base/log.cc", '#include "tensor/dtype.h"\n', "nothing of ours")

    def test_single_headers(self):
        self.assert_clean("server/routes.cc", '#include "engine/engine.h"\n')
        self.assert_broken("server/routes.cc", '#include "engine/runner.h"\n', "not engine/runner.h")

    def test_engine_policy(self):
        self.assert_clean("engine/scheduler.cc", '#include "engine/block_manager.h"\n#include "base/error.h"\n')
        self.assert_broken("engine/scheduler.cc", '#include "tensor/tensor.h"\n', "policy")
        self.assert_broken("engine/scheduler.cc", '#include "engine/runner.h"\n', "policy")
        self.assert_clean("engine/runner.cc", '#include "tensor/tensor.h"\n')

    def test_kernels_are_private(self):
        self.assert_clean("ops/linear.cc", '#include "ops/cpu/linear.h"\n')
        self.assert_broken("model/llama.cc", '#include "ops/cpu/linear.h"\n', "private")

    def test_libraries_have_a_home(self):
        self.assert_clean("server/http_server.cc", "#include <boost/beast/core.hpp>\n")
        self.assert_broken("server/routes.cc", "#include <boost/beast/core.hpp>\n", "HTTP library")
        self.assert_clean("server/metrics.cc", "#include <prometheus/registry.h>\n")
        self.assert_broken("server/routes.h", "#include <prometheus/registry.h>\n", "prometheus-cpp")
        self.assert_clean("client/http_client.cc", "#include <curl/curl.h>\n")
        self.assert_broken("client/hub.cc", "#include <curl/curl.h>\n", "libcurl")
        self.assert_clean("dataset/decompress.cc", "#include <zlib.h>\n#include <zstd.h>\n#include <snappy.h>\n")
        self.assert_broken("dataset/json_lines.cc", "#include <zlib.h>\n", "zlib")
        self.assert_clean("cli/line_editor.cc", "#include <histedit.h>\n")
        self.assert_broken("cli/repl.cc", "#include <histedit.h>\n", "libedit")
        self.assert_clean("tensor/cuda/allocator.cc", "#include <cuda_runtime.h>\n")
        self.assert_broken("tensor/allocator.cc", "#include <cuda_runtime.h>\n", "CUDA")
        self.assert_broken("engine/engine.cc", "#include <nlohmann/json.hpp>\n", "JSON")

    def test_the_world_belongs_to_cli(self):
        for line in ['std::getenv("X");', "std::exit(1);", "::exit(1);", "_exit(1);", "std::cout << 1;"]:
            self.assertEqual(1, len(rules_broken("text/tokenizer.cc", line)), line)
            self.assert_clean("cli/main.cc", line)

    def test_look_alikes_pass(self):
        for line in ["// getenv(x)", "/* exit(1)\n exit(1) */", 'auto s = "exit(1)";', "scope.exit(1);", "on_exit(1);",
                     'auto r = R"(std::cout)";', "auto n = 1'000; // 'exit(1)'"]:
            self.assert_clean("text/tokenizer.cc", line)

    def test_line_numbers_survive_comments(self):
        found = list(check_includes.breaches("text/a.cc", '/* two\nlines */ auto s = R"(a\nb)";\nstd::abort(); exit(1);\n'))
        self.assertEqual([(4, "the process ends in src/cli only")], found)

    def test_headers(self):
        self.assert_broken("text/a.h", "using namespace std;\n", "using namespace")
        self.assert_clean("text/a.cc", "using namespace std::chrono_literals;\n")
        self.assert_broken("text/a.cc", '#include "text/utils.h"\n', "utils")

    def test_an_unknown_folder_needs_a_row(self):
        self.assert_broken("helpers/a.cc", "", "has no row")


if __name__ == "__main__":
    unittest.main()
