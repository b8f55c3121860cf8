# The CUDA compiler and its static runtime, so that the program needs no library of CUDA's to start: without a driver it
# computes on the CPU and says why. tools/setup_cuda.sh knows where the toolkit is.
if(NOT CMAKE_CUDA_COMPILER)
  execute_process(COMMAND ${PROJECT_SOURCE_DIR}/tools/setup_cuda.sh find
    OUTPUT_VARIABLE cuda_root OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(CMAKE_CUDA_COMPILER ${cuda_root}/bin/nvcc)
endif()
# Machine code for Hopper with its own instructions; PTX for every other card since Ampere, which the driver compiles
# when the program starts there for the first time.
set(CMAKE_CUDA_ARCHITECTURES 90a-real 80-virtual CACHE STRING "Cards to compile for")
if(CCACHE)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
endif()
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 knows of no C++20 in nvcc
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_EXTENSIONS OFF)
set(CMAKE_CUDA_FLAGS_RELEASE "-O3 -lineinfo")
if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 13)  # of whose drivers every one can unpack it: a seventh of the size
  string(APPEND CMAKE_CUDA_FLAGS " --compress-mode=size")
endif()

# What FindCUDAToolkit would offer; that of CMake 3.25 does not know CUDA 13.
find_path(CUDA_RUNTIME_HEADERS cuda_runtime_api.h HINTS ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES} REQUIRED)
find_library(CUDA_RUNTIME_STATIC cudart_static HINTS ${CMAKE_CUDA_HOST_IMPLICIT_LINK_DIRECTORIES} REQUIRED)
add_library(lmdeploy_cuda_runtime INTERFACE)
target_include_directories(lmdeploy_cuda_runtime SYSTEM INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${CUDA_RUNTIME_HEADERS}>)
target_link_libraries(lmdeploy_cuda_runtime INTERFACE ${CUDA_RUNTIME_STATIC} Threads::Threads ${CMAKE_DL_LIBS} rt)
