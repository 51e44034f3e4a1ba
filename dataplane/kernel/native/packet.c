#include "common.h"
void register_packet(napi_env env, napi_value exports) { (void)env, (void)exports; }
