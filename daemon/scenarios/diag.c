// SPDX-License-Identifier: GPL-2.0-only
/*
 * Socket storage is dumped by netlink (INET_DIAG_REQ_SK_BPF_STORAGES), all of it or that of chosen
 * maps, while another thread replaces values, closes the sockets and drops the maps: a dump holds
 * those that were chosen. Values are copied under RCU, those with a lock under that as well
 * (diag_get() in net/core/bpf_sk_storage.c), so that all of them are whole, also where they are
 * written in place. Of TCP alone: inet_sk_diag_fill() (net/ipv4/inet_diag.c) says nothing of the
 * storage of UDP sockets, and nobody else does of any.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "../partner.h"
#include "../pool.h"
#include "../sock_diag.h"
#include "../util.h"
#include "../worker.h"
#include "batch.h"

#define PAUSE_NS (150 * NSEC_PER_MSEC)
#define STEP_US	 400
#define OWNERS	 10
#define MAPS	 2

struct state {
	uint64_t next_ns;
};

struct socket {
	int fd;
	uint32_t inode;
	int family;
	uint16_t port;
};

struct scene {
	struct worker *w;
	struct batch batches[MAPS];
	uint32_t ids[MAPS]; /* of the maps */
	struct owner owners[OWNERS];
	struct socket sockets[OWNERS]; /* of each owner one */
	unsigned int n;
	bool dead[OWNERS];
	unsigned int drop_at[MAPS]; /* when the maps go */
	unsigned int seen[MAPS];    /* values that are right, by map */
	unsigned int awaited;	    /* owner whose last values these must be, OWNERS: nobody's */
	bool wrong;
	struct rng rng; /* of the partner */
	bool over;	/* the partner has done all */
};

static bool look_at(int fd, struct socket *ret)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	struct stat st;

	if (fstat(fd, &st) < 0 || getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return false;
	*ret = (struct socket){ fd, (uint32_t)st.st_ino, address.ss_family, 0 };
	ret->port = address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
						  : ((struct sockaddr_in *)&address)->sin_port;
	return true;
}

static bool add(struct scene *s, struct rng *rng)
{
	struct owner *owner = &s->owners[s->n];

	if (worker_give_birth(s->w, OWNER_TCP, rng, owner) <= 0)
		return false;
	if (!look_at(owner_key(owner, rng), &s->sockets[s->n])) {
		owner_kill(owner);
		return false;
	}
	for (unsigned int m = 0; m < MAPS; m++)
		if (rng_below(rng, 8))
			batch_put(&s->batches[m], s->n, s->sockets[s->n].fd);
	s->n++;
	return true;
}

static bool make_maps(struct scene *s, struct rng *rng)
{
	/* All at once: what is not made is not to be closed. */
	for (unsigned int m = 0; m < MAPS; m++)
		s->batches[m].map = -1;
	for (unsigned int m = 0; m < MAPS; m++) {
		unsigned int shape = rng_below(rng, pool_shapes(s->w->pool));
		struct bpf_map_info info = { 0 };
		uint32_t len = sizeof(info);

		if (batch_new(s->w->pool, SOAK_SK, shape, rng, &s->batches[m]) < 0)
			return false;
		s->batches[m].in_place = true;
		if (bpf_obj_get_info_by_fd(s->batches[m].map, &info, &len))
			return false;
		s->ids[m] = info.id;
	}
	return true;
}

static void change(struct scene *s, unsigned int i)
{
	unsigned int m = rng_below(&s->rng, MAPS);
	struct batch *batch = &s->batches[m];
	unsigned int what = rng_below(&s->rng, 8);

	if (what < 3) {
		owner_kill(&s->owners[i]);
		s->dead[i] = true;
	} else if (batch->map >= 0 && what < 7) {
		batch_put(batch, i, s->sockets[i].fd);
	} else if (batch->map >= 0) {
		batch_take(batch, i, s->sockets[i].fd);
	}
}

/* The partner's part. The last owner stays. */
static void disturb(void *arg)
{
	struct scene *s = arg;

	for (unsigned int i = 0; i < 2 * s->n; i++) {
		for (unsigned int m = 0; m < MAPS; m++)
			if (i == s->drop_at[m])
				batch_drop(&s->batches[m], s->w->pool);
		if (i % s->n + 1 < s->n && !s->dead[i % s->n])
			change(s, i % s->n);
		sleep_ns(rng_below(&s->rng, STEP_US) * NSEC_PER_USEC);
	}
	__atomic_store_n(&s->over, true, __ATOMIC_RELEASE);
}

/* Whose socket has which number, as fstat() has it too; who is closed has none. */
static bool is_at_home(const struct scene *s, unsigned int whose, uint32_t inode)
{
	return !inode || s->sockets[whose].inode == inode;
}

static void judge(struct scene *s, unsigned int m, const struct sock_diag_value *value)
{
	const struct batch *batch = &s->batches[m];
	struct soak_value head;
	int whose;

	if (value->size != batch->size) {
		worker_accuse(s->w, "netlink delivered a value of %zu bytes from a map of %zu",
			      value->size, batch->size);
		s->wrong = true;
		return;
	}
	whose = batch_judge(batch, s->w, value->value, "netlink");
	s->wrong |= whose < 0;
	if (whose < 0)
		return;
	memcpy(&head, value->value, sizeof(head));
	if (!is_at_home(s, (unsigned int)whose, value->inode)) {
		worker_accuse(s->w, "netlink delivered the value of one socket as that of another");
		s->wrong = true;
	}
	if (s->awaited == OWNERS)
		s->seen[m]++;
	else if (head.cookie == batch_cookie(batch, s->awaited))
		s->seen[m]++;
}

static void see(void *arg, const struct sock_diag_value *value)
{
	struct scene *s = arg;

	for (unsigned int m = 0; m < MAPS; m++)
		if (value->map_id == s->ids[m])
			judge(s, m, value);
}

static void see_nothing(void *arg, const struct sock_diag_value *value)
{
	(void)arg;
	(void)value;
}

/* Returns 0 or -errno. */
static int hear_all(struct scene *s, int fd, size_t part)
{
	int r;

	do
		r = sock_diag_next(fd, part, see, s);
	while (!r);
	return r < 0 ? r : 0;
}

static int dump(struct scene *s, const struct sock_diag_request *request, size_t part)
{
	_cleanup_close_ int fd = sock_diag_open();
	int r = fd < 0 ? fd : sock_diag_ask(fd, request);

	return r ? r : hear_all(s, fd, part);
}

static struct sock_diag_request request_for(const struct scene *s, int family, bool chosen)
{
	struct sock_diag_request request = { .family = family, .protocol = IPPROTO_TCP };

	for (unsigned int m = 0; chosen && m < MAPS; m++)
		if (s->batches[m].map >= 0)
			request.maps[request.n_maps++] = s->batches[m].map;
	return request;
}

/* Nobody changes anything: each value that is there is delivered once, and nothing else. */
static bool dump_in_peace(struct scene *s, unsigned int i, bool chosen)
{
	struct sock_diag_request request = request_for(s, s->sockets[i].family, chosen);
	bool right = true;

	/* Of this one alone: a dump of many goes by positions in lists that others change. */
	request.port = s->sockets[i].port;
	s->awaited = i;
	s->seen[0] = s->seen[1] = 0;
	if (dump(s, &request, SOCK_DIAG_PART_MAX))
		return false;
	for (unsigned int m = 0; m < MAPS; m++) {
		unsigned int wanted = s->batches[m].map >= 0 && s->batches[m].values[i].stored;

		if (s->batches[m].map < 0 || s->seen[m] == wanted)
			continue;
		worker_accuse(s->w, "netlink delivered a value %u times that is there %s",
			      s->seen[m], wanted ? "once" : "not at all");
		right = false;
	}
	return right;
}

static bool all_in_peace(struct scene *s, struct rng *rng)
{
	bool right = true;

	for (unsigned int i = 0; i < s->n; i++)
		if (!s->dead[i] && (i + 1 == s->n || !rng_below(rng, 3)))
			right &= dump_in_peace(s, i, rng_below(rng, 2));
	return right && !s->wrong;
}

/* The first dump began with both maps there; those after it are of all there are. */
static bool dump_in_turmoil(struct scene *s, int first)
{
	static const int families[] = { AF_INET, AF_INET6 };
	int r = hear_all(s, first, SOCK_DIAG_PART_MIN);

	while (!r && !__atomic_load_n(&s->over, __ATOMIC_ACQUIRE))
		for (unsigned int f = 0; !r && f < ARRAY_SIZE(families); f++) {
			struct sock_diag_request request = request_for(s, families[f], false);

			r = dump(s, &request, SOCK_DIAG_PART_MAX);
		}
	return !r && !s->wrong;
}

static bool play(struct scene *s, struct partner *partner, struct rng *rng)
{
	int family = s->sockets[rng_below(rng, s->n)].family;
	struct sock_diag_request request = request_for(s, family, true);
	bool right = all_in_peace(s, rng), asked, seen;
	_cleanup_close_ int fd = sock_diag_open();

	s->awaited = OWNERS;
	s->seen[0] = s->seen[1] = 0;
	asked = fd >= 0 && !sock_diag_ask(fd, &request);
	partner_ask(partner, disturb, s);
	right &= asked && dump_in_turmoil(s, fd);
	partner_wait(partner);
	seen = s->seen[0] + s->seen[1] > 0;
	return right & all_in_peace(s, rng) && seen;
}

static enum scenario_result step(struct worker *w, void *state, struct rng *rng)
{
	struct scene s = { .w = w, .rng = { rng_next(rng) } };
	struct partner *partner = worker_partner(w);
	struct state *st = state;
	bool right = false, made;

	if (now_ns() < st->next_ns || !partner)
		return SCENARIO_NOTHING;
	made = make_maps(&s, rng);
	if (made) {
		while (s.n < OWNERS && add(&s, rng))
			;
		for (unsigned int m = 0; m < MAPS; m++)
			s.drop_at[m] = rng_below(rng, 3 * s.n + 1);
		right = s.n && play(&s, partner, rng);
	}
	for (unsigned int i = 0; i < s.n; i++)
		owner_kill(&s.owners[i]);
	for (unsigned int m = 0; m < MAPS; m++) {
		batch_drop(&s.batches[m], w->pool);
		batch_count(&s.batches[m], w);
	}
	if (!made)
		return SCENARIO_NOTHING;
	worker_took_effect(w);
	st->next_ns = now_ns() + PAUSE_NS;
	return right ? SCENARIO_EFFECT : SCENARIO_FAILED;
}

static const char *lacks(void)
{
	struct sock_diag_request request = { .family = AF_INET, .protocol = IPPROTO_TCP };
	_cleanup_close_ int fd = sock_diag_open();
	int r;

	if (fd < 0)
		return "no netlink sockets of NETLINK_SOCK_DIAG: CONFIG_INET_DIAG, and to be "
		       "allowed AF_NETLINK (RestrictAddressFamilies=), would help";
	r = sock_diag_ask(fd, &request);
	while (!r)
		r = sock_diag_next(fd, SOCK_DIAG_PART_MAX, see_nothing, NULL);
	if (r > 0)
		return NULL;
	if (r == -EPERM)
		return "to be shown socket storage by netlink takes CAP_BPF";
	return "no dumps of TCP sockets: modprobe tcp_diag (CONFIG_INET_TCP_DIAG) would help";
}

const struct scenario scenario_diag = {
	.what = "netlink dumps the storage of sockets, all or by map, while sockets and maps die",
	.state_size = sizeof(struct state),
	.lacks = lacks,
	.step = step,
};
