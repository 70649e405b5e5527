// SPDX-License-Identifier: GPL-2.0-only
/* Places for cgroups and files: see places.h. */
#include "places.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "caps.h"
#include "cgroup.h"
#include "log.h"
#include "util.h"

#define PREFIX "bpfsoakd."

/*
 * mkdir and rmdir take locks of all cgroups, and a dead one goes through several grace periods and
 * work queues: so many a second, and so many at once for a positive control or a clash.
 */
#define CGROUP_PAUSE_NS (100 * NSEC_PER_MSEC)
#define CGROUPS_AT_ONCE 8

/* include/uapi/linux/memfd.h: kernels and headers before 6.3 do not know it. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

struct places {
	int cgroups; /* directory, -1: none */
	char *why_no_cgroup;
	char *why_no_file;
	bool mounts;
	int tmpfs;	      /* mount, -1: none */
	unsigned int n_made;  /* cgroups: the number of the next */
	unsigned int dying;   /* before we made any */
	unsigned int n_files; /* names of files on the tmpfs */
	uint64_t due_ns;      /* when the cgroups made so far will have been few enough */
};

static void cgroup_name(char name[64], int pid, unsigned int number)
{
	snprintf(name, 64, PREFIX "%d.%u", pid, number);
}

/* The process that made a cgroup, 0: none of ours. */
static int maker_of(const char *name)
{
	unsigned int number;
	char again[64];
	int pid;

	if (sscanf(name, PREFIX "%d.%u", &pid, &number) != 2 || pid <= 0)
		return 0;
	cgroup_name(again, pid, number);
	return strcmp(name, again) ? 0 : pid;
}

static bool is_dead(int pid)
{
	return kill(pid, 0) < 0 && errno == ESRCH;
}

/* Returns how many of ours are left; those of the dead are nobody's. */
static unsigned int remove_cgroups(const struct places *places)
{
	_cleanup_closedir_ DIR *dir = NULL;
	const struct dirent *entry;
	unsigned int left = 0;
	int fd;

	/* A descriptor of its own: an offset is shared with every copy. */
	fd = openat(places->cgroups, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		dir = fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while ((entry = readdir(dir))) {
		int pid = maker_of(entry->d_name);

		if (!pid || (pid != getpid() && !is_dead(pid)))
			continue;
		if (unlinkat(places->cgroups, entry->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT &&
		    pid == getpid())
			left++;
	}
	return left;
}

/* Makes one and removes it. */
static int try_cgroup(struct places *places)
{
	_cleanup_close_ int fd = -1;
	unsigned int number;

	fd = places_make_cgroup(places, &number);
	if (fd < 0)
		return TAKE_FD(fd);
	places_remove_cgroup(places, number);
	return 0;
}

static const char *hint_of(int error)
{
	switch (error) {
	case -EACCES:
	case -EPERM:
		return ": run as root, or have the cgroup delegated (Delegate=yes)";
	case -EROFS:
		return ": it is mounted read-only";
	default:
		return "";
	}
}

/* nr_dying_descendants, which css_release_work_fn() counts down (kernel/cgroup/cgroup.c). */
static unsigned int count_dying(const struct places *places)
{
	static const char key[] = "nr_dying_descendants ";
	_cleanup_close_ int fd = openat(places->cgroups, "cgroup.stat", O_RDONLY | O_CLOEXEC);
	char text[4096];
	const char *line;
	ssize_t n;

	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	line = strstr(text, key);
	return line ? (unsigned int)strtoul(line + strlen(key), NULL, 10) : 0;
}

/* Below dir. Returns 0 or -ENOMEM. */
static int open_cgroups(struct places *places, const char *dir)
{
	int r;

	places->cgroups = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	places->dying = places->cgroups < 0 ? 0 : count_dying(places);
	r = places->cgroups < 0 ? -errno : try_cgroup(places);
	if (!r) {
		remove_cgroups(places);
		return 0;
	}
	if (places->cgroups >= 0)
		close(TAKE_FD(places->cgroups));
	places->why_no_cgroup =
		format("no cgroup can be made in %s (%s)%s", dir, strerror(-r), hint_of(r));
	return places->why_no_cgroup ? 0 : -ENOMEM;
}

/* Detached: in no namespace's tree, so nobody sees it, and nobody else can unmount it. */
static int mount_tmpfs(void)
{
	_cleanup_close_ int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0)
		return -errno;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return fd < 0 ? -errno : fd;
}

static void open_files(struct places *places)
{
	_cleanup_close_ int memfd = places_make_memfd();

	if (memfd < 0)
		places->why_no_file =
			format("no file can be made in memory (%s)", strerror(-memfd));
	if (!places->mounts)
		return;
	places->tmpfs = mount_tmpfs();
	if (places->tmpfs >= 0)
		return;
	log_debug("no private tmpfs can be mounted: %s", strerror(-places->tmpfs));
	places->tmpfs = -1;
	places->mounts = false;
}

static int new_places(const char *cgroups, char *why_no_cgroup, bool mounts, struct places **ret)
{
	struct places *places = calloc(1, sizeof(*places));
	int r = 0;

	if (!places) {
		free(why_no_cgroup);
		return -ENOMEM;
	}
	places->cgroups = places->tmpfs = -1;
	places->mounts = mounts;
	places->why_no_cgroup = why_no_cgroup;
	if (cgroups)
		r = open_cgroups(places, cgroups);
	if (r < 0) {
		places_free(places);
		return r;
	}
	open_files(places);
	*ret = places;
	return 0;
}

int places_new_in(const char *cgroups, bool mounts, struct places **ret)
{
	return new_places(cgroups, NULL, mounts, ret);
}

int places_new(struct places **ret)
{
	_cleanup_free_ char *dir = NULL, *why = NULL;

	if (cgroup_find(&dir, NULL, &why) < 0)
		dir = NULL;
	return new_places(dir, TAKE_PTR(why), caps_has(CAP_SYS_ADMIN), ret);
}

void places_free(struct places *places)
{
	if (!places)
		return;
	if (places->cgroups >= 0) {
		remove_cgroups(places);
		close(places->cgroups);
	}
	if (places->tmpfs >= 0)
		close(places->tmpfs);
	free(places->why_no_cgroup);
	free(places->why_no_file);
	free(places);
}

const char *places_why_not(const struct places *places, enum soak_kind kind)
{
	if (kind == SOAK_CGROUP && places->cgroups < 0)
		return places->why_no_cgroup ? places->why_no_cgroup : "no cgroups were asked for";
	if (kind == SOAK_INODE)
		return places->why_no_file;
	return NULL;
}

/* At most CGROUPS_AT_ONCE, and then one each CGROUP_PAUSE_NS. */
static bool may_make_cgroup(struct places *places)
{
	uint64_t now = now_ns(), due = __atomic_load_n(&places->due_ns, __ATOMIC_RELAXED), next;

	do {
		next = MAX(due, now) + CGROUP_PAUSE_NS;
		if (next > now + CGROUPS_AT_ONCE * CGROUP_PAUSE_NS)
			return false;
	} while (!__atomic_compare_exchange_n(&places->due_ns, &due, next, false, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return true;
}

int places_make_cgroup(struct places *places, unsigned int *ret_number)
{
	unsigned int number;
	char name[64];
	int fd, r;

	if (!may_make_cgroup(places))
		return -EBUSY;
	number = __atomic_fetch_add(&places->n_made, 1, __ATOMIC_RELAXED);
	cgroup_name(name, getpid(), number);
	if (mkdirat(places->cgroups, name, 0755) < 0)
		return -errno;
	fd = openat(places->cgroups, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		r = -errno;
		places_remove_cgroup(places, number);
		return r;
	}
	*ret_number = number;
	return fd;
}

void places_remove_cgroup(struct places *places, unsigned int number)
{
	char name[64];

	cgroup_name(name, getpid(), number);
	if (unlinkat(places->cgroups, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		log_debug("cgroup %s cannot be removed: %s", name, strerror(errno));
}

unsigned int places_sweep(struct places *places)
{
	return places->cgroups < 0 ? 0 : remove_cgroups(places);
}

unsigned int places_dying(const struct places *places)
{
	unsigned int dying = places->cgroups < 0 ? 0 : count_dying(places);

	return dying > places->dying ? dying - places->dying : 0;
}

/* A name for a moment; the numbers go round long after. */
static int make_and_unlink(struct places *places)
{
	char name[16];
	int fd;

	snprintf(name, sizeof(name), "%u",
		 __atomic_fetch_add(&places->n_files, 1, __ATOMIC_RELAXED));
	fd = openat(places->tmpfs, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, SOAK_FILE_MODE);
	if (fd < 0)
		return -errno;
	unlinkat(places->tmpfs, name, 0);
	return fd;
}

int places_make_file(struct places *places, bool linked)
{
	int fd;

	if (linked)
		return make_and_unlink(places);
	fd = openat(places->tmpfs, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, SOAK_FILE_MODE);
	return fd < 0 ? -errno : fd;
}

int places_make_memfd(void)
{
	/* The kernel writes a line to its log where neither this nor its contrary is said. */
	int fd = memfd_create("bpfsoakd", MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("bpfsoakd", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* The programs that touch know it by this; where it is refused they do not. */
	fchmod(fd, SOAK_FILE_MODE);
	return fd;
}

bool places_can_mount(const struct places *places)
{
	return places->mounts;
}

int places_make_tree(struct places *places, int *ret_fds, unsigned int n)
{
	_cleanup_close_ int tree = -1;
	int r = 0;

	if (!places->mounts)
		return -EOPNOTSUPP;
	tree = mount_tmpfs();
	if (tree < 0)
		return TAKE_FD(tree);
	for (unsigned int i = 0; i < n; i++)
		ret_fds[i] = -1;
	for (unsigned int i = 0; !r && i < n; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		ret_fds[i] =
			openat(tree, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, SOAK_FILE_MODE);
		if (ret_fds[i] < 0)
			r = -errno;
	}
	if (!r)
		return TAKE_FD(tree);
	for (unsigned int i = 0; i < n; i++)
		if (ret_fds[i] >= 0)
			close(TAKE_FD(ret_fds[i]));
	return r;
}
