/* What a supervisor and its children need of the kernel beyond child_process. */
#include "common.h"

#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static napi_value set_death_signal(napi_env env, napi_callback_info info) {
  ARGS(1);
  int signal_number;
  if (!get_int(env, argv[0], "signal", &signal_number)) return NULL;
  if (prctl(PR_SET_PDEATHSIG, signal_number) != 0) return throw_errno(env, "prctl", errno);
  return make_undefined(env);
}

static napi_value set_process_name(napi_env env, napi_callback_info info) {
  ARGS(1);
  char name[16];
  if (!get_text(env, argv[0], "name", name, sizeof name)) return NULL;
  prctl(PR_SET_NAME, name);
  return make_undefined(env);
}

/* Pid of one zombie child without reaping it, or 0. */
static napi_value peek_zombie(napi_env env, napi_callback_info info) {
  (void)info;
  siginfo_t status;
  memset(&status, 0, sizeof status);
  if (waitid(P_ALL, 0, &status, WEXITED | WNOHANG | WNOWAIT) != 0) {
    if (errno == ECHILD) return make_int(env, 0);
    return throw_errno(env, "waitid", errno);
  }
  return make_int(env, status.si_pid);
}

/* Reaps one child that has ended; true when there was one. */
static napi_value reap_child(napi_env env, napi_callback_info info) {
  ARGS(1);
  int pid;
  siginfo_t status;
  if (!get_int(env, argv[0], "pid", &pid)) return NULL;
  memset(&status, 0, sizeof status);
  if (waitid(P_PID, (id_t)pid, &status, WEXITED | WNOHANG) != 0) {
    if (errno == ECHILD) return make_bool(env, false);
    return throw_errno(env, "waitid", errno);
  }
  return make_bool(env, status.si_pid != 0);
}

static napi_value peer_credentials(napi_env env, napi_callback_info info) {
  ARGS(1);
  int fd;
  struct ucred who;
  socklen_t length = sizeof who;
  if (!get_int(env, argv[0], "fd", &fd)) return NULL;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) != 0) {
    return throw_errno(env, "getsockopt", errno);
  }
  napi_value result;
  napi_create_object(env, &result);
  set_property(env, result, "pid", make_int(env, who.pid));
  set_property(env, result, "uid", make_int(env, who.uid));
  set_property(env, result, "gid", make_int(env, who.gid));
  return result;
}

static napi_value lock_file(napi_env env, napi_callback_info info) {
  ARGS(2);
  int fd;
  bool exclusive;
  if (!get_int(env, argv[0], "fd", &fd) || !get_bool(env, argv[1], "exclusive", &exclusive)) {
    return NULL;
  }
  if (flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0) return make_bool(env, true);
  if (errno == EWOULDBLOCK) return make_bool(env, false);
  return throw_errno(env, "flock", errno);
}

/* Soft limit of open files raised to the hard one; returns it. */
static napi_value raise_file_limit(napi_env env, napi_callback_info info) {
  (void)info;
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return throw_errno(env, "getrlimit", errno);
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return throw_errno(env, "setrlimit", errno);
  return make_int(env, (int64_t)limit.rlim_cur);
}

static napi_value realtime_ns(napi_env env, napi_callback_info info) {
  (void)info;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  napi_value value;
  napi_create_bigint_int64(env, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, &value);
  return value;
}

void register_process(napi_env env, napi_value exports) {
  export_function(env, exports, "setDeathSignal", set_death_signal);
  export_function(env, exports, "setProcessName", set_process_name);
  export_function(env, exports, "peekZombie", peek_zombie);
  export_function(env, exports, "reapChild", reap_child);
  export_function(env, exports, "peerCredentials", peer_credentials);
  export_function(env, exports, "lockFile", lock_file);
  export_function(env, exports, "raiseFileLimit", raise_file_limit);
  export_function(env, exports, "realtimeNs", realtime_ns);
}
