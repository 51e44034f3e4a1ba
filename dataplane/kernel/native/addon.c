/* The one native addon: each file beside this one registers its functions on the exports. */
#include <node_api.h>

void register_netns(napi_env env, napi_value exports);
void register_files(napi_env env, napi_value exports);
void register_process(napi_env env, napi_value exports);
void register_socket(napi_env env, napi_value exports);
void register_message(napi_env env, napi_value exports);
void register_poll(napi_env env, napi_value exports);
void register_netlink(napi_env env, napi_value exports);
void register_packet(napi_env env, napi_value exports);
void register_timer(napi_env env, napi_value exports);
void register_bpf(napi_env env, napi_value exports);
#ifdef HAVE_ENGINE
void register_engine(napi_env env, napi_value exports);
#endif

NAPI_MODULE_INIT() {
  register_netns(env, exports);
  register_files(env, exports);
  register_process(env, exports);
  register_socket(env, exports);
  register_message(env, exports);
  register_poll(env, exports);
  register_netlink(env, exports);
  register_packet(env, exports);
  register_timer(env, exports);
  register_bpf(env, exports);
#ifdef HAVE_ENGINE
  register_engine(env, exports);
#endif
  return exports;
}
