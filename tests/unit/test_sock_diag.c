// SPDX-License-Identifier: GPL-2.0-only
/* Requests for socket storage, and what is made of the answers, whole, cut short and wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>

#include "netlink.h"
#include "sock_diag.h"
#include "util.h"

#define ROOM 2048

/* What a kernel would send, put together piece by piece. */
struct text {
	_Alignas(4) unsigned char bytes[ROOM];
	size_t len;
};

static size_t put(struct text *text, const void *data, size_t len)
{
	size_t at = text->len;

	assert_true(at + NLA_ALIGN(len) <= ROOM);
	if (len)
		memcpy(text->bytes + at, data, len);
	text->len += NLA_ALIGN(len);
	return at;
}

static size_t begin_attribute(struct text *text, uint16_t type)
{
	struct nlattr header = { sizeof(header), type };

	return put(text, &header, sizeof(header));
}

static void end_attribute(struct text *text, size_t at)
{
	((struct nlattr *)(text->bytes + at))->nla_len = (uint16_t)(text->len - at);
}

static void put_attribute(struct text *text, uint16_t type, const void *data, size_t len)
{
	struct nlattr header = { (uint16_t)(sizeof(header) + len), type };

	put(text, &header, sizeof(header));
	put(text, data, len);
}

static size_t begin_message(struct text *text, uint16_t type)
{
	struct nlmsghdr header = { .nlmsg_type = type };

	return put(text, &header, sizeof(header));
}

static void end_message(struct text *text, size_t at)
{
	((struct nlmsghdr *)(text->bytes + at))->nlmsg_len = (uint32_t)(text->len - at);
}

static void put_storage(struct text *text, uint32_t id, const void *value, size_t len)
{
	size_t storage = begin_attribute(text, SK_DIAG_BPF_STORAGE | NLA_F_NESTED);

	put_attribute(text, SK_DIAG_BPF_STORAGE_MAP_ID, &id, sizeof(id));
	put_attribute(text, SK_DIAG_BPF_STORAGE_PAD, NULL, 0);
	put_attribute(text, SK_DIAG_BPF_STORAGE_MAP_VALUE, value, len);
	end_attribute(text, storage);
}

static size_t begin_socket(struct text *text, uint32_t inode)
{
	struct inet_diag_msg socket = { .idiag_inode = inode };
	size_t message = begin_message(text, SOCK_DIAG_BY_FAMILY);
	char other[5] = "abcd";

	put(text, &socket, sizeof(socket));
	put_attribute(text, INET_DIAG_CONG, other, sizeof(other));
	return message;
}

static void put_end(struct text *text, uint16_t type, int error)
{
	size_t message = begin_message(text, type);

	put(text, &error, sizeof(error));
	end_message(text, message);
}

struct seen {
	struct sock_diag_value values[4];
	unsigned int n;
};

static void see(void *arg, const struct sock_diag_value *value)
{
	struct seen *seen = arg;

	assert_true(seen->n < ARRAY_SIZE(seen->values));
	seen->values[seen->n++] = *value;
}

/* Two sockets, three values. */
static void put_dump(struct text *text)
{
	size_t message = begin_socket(text, 11), storages;

	storages = begin_attribute(text, INET_DIAG_SK_BPF_STORAGES | NLA_F_NESTED);
	put_storage(text, 5, "12345678", 8);
	put_storage(text, 6, "abc", 3);
	end_attribute(text, storages);
	end_message(text, message);
	end_message(text, begin_socket(text, 12));
	message = begin_socket(text, 13);
	storages = begin_attribute(text, INET_DIAG_SK_BPF_STORAGES | NLA_F_NESTED);
	put_storage(text, 5, "87654321", 8);
	end_attribute(text, storages);
	end_message(text, message);
}

static void test_values(void **state)
{
	struct text text = { .len = 0 };
	struct seen seen = { .n = 0 };

	(void)state;
	put_dump(&text);
	assert_int_equal(sock_diag_parse(text.bytes, text.len, see, &seen), 0);
	assert_int_equal(seen.n, 3);
	assert_int_equal(seen.values[0].inode, 11);
	assert_int_equal(seen.values[0].map_id, 5);
	assert_int_equal(seen.values[0].size, 8);
	assert_memory_equal(seen.values[0].value, "12345678", 8);
	assert_int_equal(seen.values[1].inode, 11);
	assert_int_equal(seen.values[1].map_id, 6);
	assert_int_equal(seen.values[1].size, 3);
	assert_memory_equal(seen.values[1].value, "abc", 3);
	assert_int_equal(seen.values[2].inode, 13);
	assert_memory_equal(seen.values[2].value, "87654321", 8);
}

static void test_its_end(void **state)
{
	struct text text = { .len = 0 }, empty = { .len = 0 }, wrong = { .len = 0 };
	struct seen seen = { .n = 0 };

	(void)state;
	put_dump(&text);
	put_end(&text, NLMSG_DONE, 0);
	assert_int_equal(sock_diag_parse(text.bytes, text.len, see, &seen), 1);
	assert_int_equal(seen.n, 3);
	end_message(&empty, begin_message(&empty, NLMSG_DONE));
	assert_int_equal(sock_diag_parse(empty.bytes, empty.len, see, &seen), 1);
	put_end(&wrong, NLMSG_DONE, 5);
	assert_int_equal(sock_diag_parse(wrong.bytes, wrong.len, see, &seen), -EBADMSG);
}

static void test_errors(void **state)
{
	struct text refused = { .len = 0 }, broken = { .len = 0 };
	struct seen seen = { .n = 0 };

	(void)state;
	put_end(&refused, NLMSG_ERROR, -EBADF);
	assert_int_equal(sock_diag_parse(refused.bytes, refused.len, see, &seen), -EBADF);
	put_end(&broken, NLMSG_DONE, -ENOMEM);
	assert_int_equal(sock_diag_parse(broken.bytes, broken.len, see, &seen), -ENOMEM);
}

/* Wherever it ends, nothing behind the end is looked at, nor anything seen that is not there. */
static void test_cut_short(void **state)
{
	struct text text = { .len = 0 };

	(void)state;
	put_dump(&text);
	for (size_t len = 1; len < text.len; len++) {
		_cleanup_free_ unsigned char *part = malloc(len);
		struct seen seen = { .n = 0 };
		int r;

		assert_non_null(part);
		memcpy(part, text.bytes, len);
		r = sock_diag_parse(part, len, see, &seen);
		assert_true(r == 0 || r == -EBADMSG);
		assert_true(seen.n < 3);
	}
}

static void test_lengths_that_lie(void **state)
{
	struct text text = { .len = 0 };
	struct seen seen = { .n = 0 };
	struct nlmsghdr *header = (void *)text.bytes;

	(void)state;
	put_dump(&text);
	header->nlmsg_len = (uint32_t)text.len + 4;
	assert_int_equal(sock_diag_parse(text.bytes, text.len, see, &seen), -EBADMSG);
	header->nlmsg_len = 3;
	assert_int_equal(sock_diag_parse(text.bytes, text.len, see, &seen), -EBADMSG);
	assert_int_equal(seen.n, 0);
}

static void test_requests(void **state)
{
	_Alignas(4) unsigned char buf[SOCK_DIAG_REQUEST_MAX];
	struct sock_diag_request request = { .family = AF_INET6,
					     .protocol = IPPROTO_UDP,
					     .port = htons(53) };
	const struct inet_diag_req_v2 *req = NLMSG_DATA(buf);
	struct netlink_bytes in = { buf, 0 }, attributes;
	struct netlink_attribute found, map;
	struct netlink_message message;
	uint32_t fd;

	(void)state;
	for (request.n_maps = 0; request.n_maps <= SOCK_DIAG_MAPS; request.n_maps++) {
		if (request.n_maps)
			request.maps[request.n_maps - 1] = (int)request.n_maps + 40;
		in = (struct netlink_bytes){ buf, sock_diag_make(&request, buf) };
		assert_int_equal(netlink_next_message(&in, &message), 1);
		assert_int_equal(in.left, 0);
		assert_int_equal(message.header.nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
		assert_int_equal(req->sdiag_family, AF_INET6);
		assert_int_equal(req->sdiag_protocol, IPPROTO_UDP);
		assert_int_equal(req->id.idiag_sport, htons(53));
		attributes = (struct netlink_bytes){ message.data.at + sizeof(*req),
						     message.data.left - sizeof(*req) };
		assert_true(netlink_next_attribute(&attributes, &found));
		assert_int_equal(found.type, INET_DIAG_REQ_SK_BPF_STORAGES);
		for (unsigned int i = 0; i < request.n_maps; i++) {
			assert_true(netlink_next_attribute(&found.data, &map));
			assert_int_equal(map.type, SK_DIAG_BPF_STORAGE_REQ_MAP_FD);
			assert_true(netlink_number(&map, &fd));
			assert_int_equal(fd, i + 41);
		}
		assert_false(netlink_next_attribute(&found.data, &map));
		assert_false(netlink_next_attribute(&attributes, &found));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),		 cmocka_unit_test(test_its_end),
		cmocka_unit_test(test_errors),		 cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_lengths_that_lie), cmocka_unit_test(test_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
