# The chat page, web/page/dist, as Vite has built it (make page): a table for page_files.cc, made anew where a file
# of it has changed.
set(LMDEPLOY_PAGE_DIR ${PROJECT_BINARY_DIR}/page)
file(GLOB_RECURSE LMDEPLOY_PAGE_FILES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/web/page/dist/*)
add_custom_command(OUTPUT ${LMDEPLOY_PAGE_DIR}/page_files.inc
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR}/web/page/dist -DTARGET=${LMDEPLOY_PAGE_DIR}
    -P ${PROJECT_SOURCE_DIR}/cmake/page_files.cmake
  DEPENDS ${LMDEPLOY_PAGE_FILES} ${PROJECT_SOURCE_DIR}/cmake/page_files.cmake
  COMMENT "Compressing the chat page" VERBATIM)
