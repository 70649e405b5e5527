// SPDX-License-Identifier: GPL-2.0-only
/* A second process that reads values: see reader.h. */
#include "reader.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "churn.h"
#include "util.h"

#define NAME	 "bpfsoakd-reader" /* at most 15 bytes */
#define WATCH_NS (30 * NSEC_PER_MSEC)

struct question {
	uint64_t flags;
	uint64_t first, last; /* cookies of a watch */
	uint32_t size;
	uint32_t watch;
};

struct answer {
	int32_t error;
	uint32_t pad;
	struct reader_watch watch;
	unsigned char value[SOAK_SIZE_LARGE];
};

struct reader {
	pid_t pid;
	int fd;
	pthread_mutex_t lock;
};

enum { MAP, OWNER, FDS };

/* The child. */

static void read_once(const struct question *question, const int fds[FDS], struct answer *answer)
{
	if (bpf_map_lookup_elem_flags(fds[MAP], &fds[OWNER], answer->value, question->flags))
		answer->error = -errno;
}

static void watch(const struct question *question, const int fds[FDS], struct answer *answer)
{
	uint64_t end = now_ns() + WATCH_NS;
	struct soak_value head = { 0 };

	do {
		if (bpf_map_lookup_elem_flags(fds[MAP], &fds[OWNER], answer->value,
					      question->flags))
			continue; /* between two elements in the list there is a moment of none */
		answer->watch.reads++;
		memcpy(&head, answer->value, sizeof(head));
		if (!churn_value_is_whole(answer->value, question->size))
			answer->watch.torn++;
		else if (head.cookie < question->first || head.cookie > question->last)
			answer->watch.foreign++;
	} while (head.cookie != question->last && now_ns() < end);
}

static bool receive(int fd, struct question *question, int fds[FDS])
{
	char control[CMSG_SPACE(FDS * sizeof(int))];
	struct iovec iov = { question, sizeof(*question) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg;
	ssize_t r;

	do
		r = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (r < 0 && errno == EINTR);
	if (r != (ssize_t)sizeof(*question))
		return false;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_len != CMSG_LEN(FDS * sizeof(int)))
		return false;
	memcpy(fds, CMSG_DATA(cmsg), FDS * sizeof(int));
	return question->size <= SOAK_SIZE_LARGE;
}

/* The descriptors are closed first: nobody must be kept alive by us. */
static bool serve(int fd)
{
	struct question question;
	struct answer answer = { 0 };
	int fds[FDS];

	if (!receive(fd, &question, fds))
		return false;
	if (question.watch)
		watch(&question, fds, &answer);
	else
		read_once(&question, fds, &answer);
	close(fds[MAP]);
	close(fds[OWNER]);
	return send(fd, &answer, sizeof(answer), MSG_NOSIGNAL) == (ssize_t)sizeof(answer);
}

/* It must neither die of a terminal's signals nor outlive us, nor keep what we hold open. */
static _Noreturn void child(int fd, pid_t parent)
{
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	prctl(PR_SET_NAME, NAME);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	if (fd > 3)
		syscall(SYS_close_range, 3u, (unsigned int)fd - 1, 0u);
	syscall(SYS_close_range, (unsigned int)fd + 1, ~0u, 0u);
	while (serve(fd))
		;
	_exit(0);
}

/* Ours. */

int reader_new(struct reader **ret)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	pid_t parent = getpid();
	int fds[2];

	if (!reader)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
		free(reader);
		return -errno;
	}
	reader->pid = fork();
	if (!reader->pid)
		child(fds[1], parent);
	close(fds[1]);
	reader->fd = fds[0];
	pthread_mutex_init(&reader->lock, NULL);
	if (reader->pid < 0) {
		int r = -errno;

		close(reader->fd);
		free(reader);
		return r;
	}
	*ret = reader;
	return 0;
}

void reader_free(struct reader *reader)
{
	if (!reader)
		return;
	close(reader->fd);
	while (waitpid(reader->pid, NULL, 0) < 0 && errno == EINTR)
		;
	pthread_mutex_destroy(&reader->lock);
	free(reader);
}

static int ask(const struct reader *reader, struct question *question, int map, int owner)
{
	char control[CMSG_SPACE(FDS * sizeof(int))] = { 0 };
	struct iovec iov = { question, sizeof(*question) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int fds[FDS] = { map, owner };

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(cmsg), fds, sizeof(fds));
	return sendmsg(reader->fd, &msg, MSG_NOSIGNAL) < 0 ? -EPIPE : 0;
}

static int hear(const struct reader *reader, struct answer *answer)
{
	ssize_t r;

	do
		r = recv(reader->fd, answer, sizeof(*answer), 0);
	while (r < 0 && errno == EINTR);
	return r == (ssize_t)sizeof(*answer) ? answer->error : -EPIPE;
}

int reader_read(struct reader *reader, int map, int owner, size_t size, uint64_t flags, void *found)
{
	struct question question = { .flags = flags, .size = (uint32_t)size };
	struct answer answer;
	int r;

	if (!reader)
		return -EPIPE;
	if (pthread_mutex_trylock(&reader->lock))
		return -EBUSY;
	r = ask(reader, &question, map, owner);
	if (!r)
		r = hear(reader, &answer);
	pthread_mutex_unlock(&reader->lock);
	if (!r)
		memcpy(found, answer.value, size);
	return r;
}

int reader_watch_begin(struct reader *reader, int map, int owner, size_t size, uint64_t flags,
		       uint64_t first, uint64_t last)
{
	struct question question = {
		.flags = flags, .first = first, .last = last, .size = (uint32_t)size, .watch = 1
	};
	int r;

	if (!reader)
		return -EPIPE;
	if (pthread_mutex_trylock(&reader->lock))
		return -EBUSY;
	r = ask(reader, &question, map, owner);
	if (r)
		pthread_mutex_unlock(&reader->lock);
	return r;
}

int reader_watch_end(struct reader *reader, struct reader_watch *ret)
{
	struct answer answer;
	int r = hear(reader, &answer);

	pthread_mutex_unlock(&reader->lock);
	if (!r)
		*ret = answer.watch;
	return r;
}
