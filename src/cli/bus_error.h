#pragma once

namespace lmdeploy::cli {

// From now on SIGBUS ends the process with a message and exit code 1 instead of a core dump. It comes where a
// mapped file is shortened (or its disk fails) while it is read, which is the case only during loading: what
// serves has copies.
void report_bus_errors();

}  // namespace lmdeploy::cli
