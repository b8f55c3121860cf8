# Everything comes from the distribution (tools/setup.sh installs it) or from crates.io (src/text/rust/Cargo.lock).
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
