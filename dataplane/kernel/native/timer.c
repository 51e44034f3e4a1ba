/* Timers finer than libuv's milliseconds: a descriptor that becomes readable (timerfd_create(2)). */
#include "common.h"

#include <sys/timerfd.h>

/* timerOpen(): a disarmed timer of CLOCK_MONOTONIC, closed on exec. */
static napi_value timer_open(napi_env env, napi_callback_info info) {
  (void)info;
  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (fd < 0) return throw_errno(env, "timerfd_create", errno);
  return make_int(env, fd);
}

/* timerArm(fd, microseconds): one expiry, as late as that; what had expired is forgotten. 0 disarms. */
static napi_value timer_arm(napi_env env, napi_callback_info info) {
  ARGS(2);
  int fd;
  double delay_us;
  if (!get_int(env, argv[0], "fd", &fd)) return NULL;
  if (napi_get_value_double(env, argv[1], &delay_us) != napi_ok || !(delay_us >= 0)) {
    return throw_type(env, "Cannot arm a timer: its delay is no number of microseconds");
  }
  long long ns = (long long)(delay_us * 1000);
  struct itimerspec when = {
      .it_value = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000},
  };
  if (timerfd_settime(fd, 0, &when, NULL) < 0) return throw_errno(env, "timerfd_settime", errno);
  return make_undefined(env);
}

void register_timer(napi_env env, napi_value exports) {
  export_function(env, exports, "timerOpen", timer_open);
  export_function(env, exports, "timerArm", timer_arm);
}
