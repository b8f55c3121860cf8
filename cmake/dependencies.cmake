# Everything comes from the distribution (tools/setup.sh installs it) or from crates.io (src/text/rust/Cargo.lock);
# Swagger UI, which is data here, from PyPI (swagger_ui.cmake).
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
