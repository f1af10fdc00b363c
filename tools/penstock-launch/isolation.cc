#include "tools/penstock-launch/isolation.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace penstock::launch {
namespace {

// Ends with an error, or says what is left out.
void Missing(const Settings& settings, const std::string& what, int error) {
  const std::string reason = error == 0 ? "" : std::string(": ") + std::strerror(error);
  if (!settings.best_effort) {
    Fail(settings, "the function asks for " + what + ", which is not possible here" + reason);
  }
  std::fprintf(stderr, "penstock-launch: the function runs without %s%s\n", what.c_str(),
               reason.c_str());
}

bool WriteFile(const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return written;
}

// In a new user namespace: who we are outside is who we are inside, and nobody else exists.
bool MapOwnUser(uid_t user, gid_t group) {
  const std::string uid = std::to_string(user);
  const std::string gid = std::to_string(group);
  return WriteFile("/proc/self/setgroups", "deny") &&
         WriteFile("/proc/self/uid_map", uid + " " + uid + " 1") &&
         WriteFile("/proc/self/gid_map", gid + " " + gid + " 1");
}

// Who we are in a user namespace cannot be taken back when it turns out to be nobody: a child of
// ours tries it first. errno says why not.
bool CanMapOwnUser(uid_t user, gid_t group) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::_Exit(::unshare(CLONE_NEWUSER) == 0 && MapOwnUser(user, group) ? 0 : errno);
  }
  if (child < 0) return false;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  errno = WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
  return errno == 0;
}

// Root may have the namespaces as they are; everybody may in a user namespace of their own, where
// the system allows these. errno says why not: then nothing has changed.
bool Unshare(const Settings& settings, int flags, bool* has_user_namespace) {
  if (::unshare(flags) == 0) return true;
  // In a user namespace nobody else exists whom we could become.
  if (*has_user_namespace || settings.user != 0) return false;
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  if (!CanMapOwnUser(user, group) || ::unshare(CLONE_NEWUSER | flags) != 0) return false;
  *has_user_namespace = true;
  if (!MapOwnUser(user, group)) FailWithErrno(settings, "cannot be a user of a user namespace");
  return true;
}

// Mounts made from now on stay inside, and /proc shows this process namespace alone.
bool MountOwnProc() {
  return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0;
}

// Keeps `fd` alone, as number 0: whoever holds the worker's pipes keeps them open after its end.
void KeepOnly(int fd) {
  ::dup2(fd, 0);
  ::syscall(SYS_close_range, 1U, UINT_MAX, 0U);
}

// Ends this process as `status`, of waitpid, says that another did.
[[noreturn]] void EndAs(int status) {
  if (WIFEXITED(status)) std::_Exit(WEXITSTATUS(status));
  ::signal(WTERMSIG(status), SIG_DFL);
  ::kill(::getpid(), WTERMSIG(status));
  std::_Exit(kStartFailed);
}

// The launcher that the executor watches: it lasts as long as the namespace's first process.
[[noreturn]] void AwaitNamespace(pid_t init, int status_fd) {
  KeepOnly(status_fd);
  int status = 0;
  const bool known = ::read(0, &status, sizeof status) == sizeof status;
  int init_status = 0;
  while (::waitpid(init, &init_status, 0) < 0 && errno == EINTR) {
  }
  EndAs(known ? status : init_status);
}

// The first process of the namespace: it reaps orphans, and all that are left end with it.
[[noreturn]] void AwaitWorker(pid_t worker, int status_fd) {
  KeepOnly(status_fd);
  for (;;) {
    int status = 0;
    const pid_t ended = ::wait(&status);
    if (ended < 0 && errno == EINTR) continue;
    if (ended == worker || ended < 0) {
      const bool told = ::write(0, &status, sizeof status) == sizeof status;
      std::_Exit(told ? 0 : kStartFailed);
    }
  }
}

// Returns in the worker only.
void EnterProcessNamespace(const Settings& settings) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) FailWithErrno(settings, "cannot make a pipe");
  const pid_t init = ::fork();
  if (init < 0) FailWithErrno(settings, "cannot start the namespace's first process");
  if (init > 0) AwaitNamespace(init, ends[0]);
  ::close(ends[0]);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The launcher may have died before that: then its end of the pipe is closed.
  pollfd alive{.fd = ends[1], .events = 0, .revents = 0};
  if (::poll(&alive, 1, 0) > 0) std::_Exit(kStartFailed);
  if (!MountOwnProc()) Missing(settings, "a /proc of its own", errno);
  const pid_t worker = ::fork();
  if (worker < 0) FailWithErrno(settings, "cannot start the worker");
  if (worker > 0) AwaitWorker(worker, ends[1]);
  ::close(ends[1]);
}

// Root without capabilities is a user who owns root's files: it can leave no namespace.
bool DropCapabilities() {
  ::prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED);
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
    ::prctl(PR_CAPBSET_DROP, capability);
  }
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct none[2]{};
  return ::syscall(SYS_capset, &header, none) == 0;
}

void BecomeUser(const Settings& settings) {
  if (::setgroups(0, nullptr) != 0 || ::setgid(settings.group) != 0 ||
      ::setuid(settings.user) != 0) {
    FailWithErrno(settings, "cannot become the user " + std::to_string(settings.user));
  }
}

void Append(std::string* list, const char* name) {
  if (!list->empty()) *list += ',';
  *list += name;
}

}  // namespace

std::string Isolate(const Settings& settings) {
  std::string on;
  bool has_user_namespace = false;
  if (settings.needs_no_network) {
    if (Unshare(settings, CLONE_NEWNET, &has_user_namespace)) {
      Append(&on, "no-network");
    } else {
      Missing(settings, "no network", errno);
    }
  }
  if (settings.needs_namespaces) {
    if (Unshare(settings, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC, &has_user_namespace)) {
      EnterProcessNamespace(settings);
      Append(&on, "namespaces");
    } else {
      Missing(settings, "namespaces of its own", errno);
    }
  }
  if (settings.user != 0) {
    BecomeUser(settings);
    Append(&on, "user");
  } else if (settings.needs_user) {
    Missing(settings, "another user than the executor's (its setting process.user names none)", 0);
  }
  if ((settings.needs_no_network || settings.needs_namespaces) && !DropCapabilities()) {
    Missing(settings, "a process without capabilities", errno);
  }
  return on;
}

}  // namespace penstock::launch
