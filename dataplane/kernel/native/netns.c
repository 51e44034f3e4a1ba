/* Network namespaces: all calls act on the calling thread and have it home again when they return. */
#include "common.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

int open_thread_netns(void);
int swap_home_netns(int fd);

static napi_value create_netns(napi_env env, napi_callback_info info) {
  (void)info;
  if (home_netns() < 0) return throw_errno(env, "open", errno);
  if (unshare(CLONE_NEWNET) != 0) return throw_errno(env, "unshare", errno);
  int fd = open_thread_netns();
  leave_netns();
  if (fd < 0) return throw_errno(env, "open", errno);
  return make_int(env, fd);
}

/* runInNetns(fd, fn): calls fn with this thread inside; home while it runs is that namespace, so
 * that calls nested in fn come back to it. */
static napi_value run_in_netns(napi_env env, napi_callback_info info) {
  ARGS(2);
  int target;
  if (!get_int(env, argv[0], "netns", &target)) return NULL;
  if (enter_netns(target) != 0) return throw_errno(env, "setns", errno);
  int before = swap_home_netns(target);
  napi_value result = NULL;
  napi_call_function(env, make_undefined(env), argv[1], 0, NULL, &result);
  swap_home_netns(before);
  leave_netns();
  return result;
}

static napi_value netns_inode(napi_env env, napi_callback_info info) {
  ARGS(1);
  int fd;
  struct stat status;
  if (!get_int(env, argv[0], "netns", &fd)) return NULL;
  if (fd < 0) fd = home_netns();
  if (fstat(fd, &status) != 0) return throw_errno(env, "fstat", errno);
  return make_int(env, (int64_t)status.st_ino);
}

static napi_value mount_call(napi_env env, napi_callback_info info) {
  ARGS(5);
  char source[4096], target[4096], type[64], data[4096];
  uint32_t flags;
  if (!get_text(env, argv[0], "source", source, sizeof source) ||
      !get_text(env, argv[1], "target", target, sizeof target) ||
      !get_text(env, argv[2], "type", type, sizeof type) || !get_u32(env, argv[3], "flags", &flags) ||
      !get_text(env, argv[4], "data", data, sizeof data)) {
    return NULL;
  }
  if (mount(source[0] ? source : "none", target, type[0] ? type : NULL, flags,
            data[0] ? data : NULL) != 0) {
    return throw_errno(env, "mount", errno);
  }
  return make_undefined(env);
}

static napi_value umount_call(napi_env env, napi_callback_info info) {
  ARGS(2);
  char target[4096];
  int flags;
  if (!get_text(env, argv[0], "target", target, sizeof target) ||
      !get_int(env, argv[1], "flags", &flags)) {
    return NULL;
  }
  if (umount2(target, flags) != 0) return throw_errno(env, "umount2", errno);
  return make_undefined(env);
}

void register_netns(napi_env env, napi_value exports) {
  export_function(env, exports, "createNetns", create_netns);
  export_function(env, exports, "runInNetns", run_in_netns);
  export_function(env, exports, "netnsInode", netns_inode);
  export_function(env, exports, "mount", mount_call);
  export_function(env, exports, "umount", umount_call);
}
