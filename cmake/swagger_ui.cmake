# The documentation page is web/docs and Swagger UI, which is fetched once for all build folders and checked.
set(LMDEPLOY_WEB_DOCS_DIR ${PROJECT_SOURCE_DIR}/web/docs)
set(LMDEPLOY_SWAGGER_UI_DIR ${PROJECT_SOURCE_DIR}/build/swagger-ui)
execute_process(COMMAND ${PROJECT_SOURCE_DIR}/tools/fetch_swagger_ui.sh ${LMDEPLOY_SWAGGER_UI_DIR}
  COMMAND_ERROR_IS_FATAL ANY)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/fetch_swagger_ui.sh)
