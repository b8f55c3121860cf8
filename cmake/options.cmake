# Warnings are errors in our own code; sanitizers come from the preset.
add_library(lmdeploy_options INTERFACE)
target_include_directories(lmdeploy_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(lmdeploy_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Werror;-Wshadow;-Wnon-virtual-dtor;-Wold-style-cast;-Wno-psabi>
  $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings;-Xcompiler=-Wall,-Wextra,-Wno-psabi>)
if(LMDEPLOY_SANITIZE)
  add_compile_options(-fsanitize=${LMDEPLOY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${LMDEPLOY_SANITIZE})
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

# lmdeploy_library(NAME SOURCES... DEPENDS libs...): one static library per folder of src/.
function(lmdeploy_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;PRIVATE" ${ARGN})
  add_library(lmdeploy_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(lmdeploy_${name} PUBLIC lmdeploy_options ${ARG_DEPENDS} PRIVATE ${ARG_PRIVATE})
endfunction()
