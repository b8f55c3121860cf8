# cmake -DSOURCE=DIR -DTARGET=DIR -P page_files.cmake
# Copies the files of SOURCE to TARGET, each beside a compressed copy, and writes TARGET/page_files.inc: how they
# are embedded, and a row for each.
file(GLOB_RECURSE FILES RELATIVE ${SOURCE} ${SOURCE}/*)
list(SORT FILES)
set(EMBEDS "")
set(ROWS "")
set(INDEX 0)
foreach(FILE IN LISTS FILES)
  configure_file(${SOURCE}/${FILE} ${TARGET}/files/${FILE} COPYONLY)
  execute_process(COMMAND gzip --best --no-name --stdout ${TARGET}/files/${FILE}
    OUTPUT_FILE ${TARGET}/files/${FILE}.gz COMMAND_ERROR_IS_FATAL ANY)
  file(SHA256 ${SOURCE}/${FILE} HASH)
  string(SUBSTRING ${HASH} 0 16 HASH)
  set(NAME lmdeploy_page_${INDEX})
  string(APPEND EMBEDS "LMDEPLOY_EMBED(${NAME}, \"files/${FILE}\");\nLMDEPLOY_EMBED(${NAME}_gzip, \"files/${FILE}.gz\");\n")
  string(APPEND ROWS "    PageFile{\"${FILE}\", \"${HASH}\", {${NAME}_begin, ${NAME}_end}, {${NAME}_gzip_begin, ${NAME}_gzip_end}},\n")
  math(EXPR INDEX "${INDEX} + 1")
endforeach()
file(WRITE ${TARGET}/page_files.inc "${EMBEDS}\n#define LMDEPLOY_PAGE_FILES \\\n")
string(REPLACE ",\n" ", \\\n" ROWS "${ROWS}")
file(APPEND ${TARGET}/page_files.inc "${ROWS}\n")
