/*
 * vhost-user-cswap-test.c - the device before a backend that the test plays.
 *
 * The backend is a thread that answers the vhost-user messages and writes down
 * what it was told.  The guest is libqos: it makes the queues run, and nothing
 * more, since requests are no concern of QEMU's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/memfd.h"
#include "qemu/sockets.h"
#include "qapi/error.h"
#include "qobject/qdict.h"
#include "libqtest.h"
#include "libqos/malloc-pc.h"
#include "libqos/pci-pc.h"
#include "libqos/virtio-pci.h"
#include "standard-headers/linux/vhost_types.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_cswap.h"

#define QUEUES          3       /* control, and one pair */
#define QUEUE_SIZE      64
#define CONFIG_SIZE     64
#define MSG_MAX         1024
#define PATIENCE        (60 * G_TIME_SPAN_SECOND)

#define F_PROTOCOL_FEATURES     30
#define PROTOCOL_F_MQ           0
#define PROTOCOL_F_LOG_SHMFD    1
#define PROTOCOL_F_CONFIG       9
#define PROTOCOL_F_INFLIGHT     12
#define PROTOCOL_F_DEVICE_STATE 19

#define FLAGS_REPLY             (1 | 1 << 2)
#define NO_DESCRIPTOR           (1 << 8)

enum request {
    GET_FEATURES = 1,
    SET_LOG_BASE = 6,
    GET_VRING_BASE = 11,
    GET_PROTOCOL_FEATURES = 15,
    GET_QUEUE_NUM = 17,
    SET_VRING_ENABLE = 18,
    GET_CONFIG = 24,
    GET_INFLIGHT_FD = 31,
    SET_INFLIGHT_FD = 32,
    SET_DEVICE_STATE_FD = 42,
    CHECK_DEVICE_STATE = 43,
};

typedef struct Message {
    uint32_t request;
    uint32_t flags;
    uint32_t size;
    union {
        uint64_t u64;
        struct {
            uint32_t index;
            uint32_t num;
        } ring;
        struct {
            uint32_t offset;
            uint32_t size;
            uint32_t flags;
            uint8_t bytes[256];
        } config;
        struct {
            uint64_t mmap_size;
            uint64_t mmap_offset;
            uint16_t num_queues;
            uint16_t queue_size;
        } inflight;
        struct {
            uint32_t direction;
            uint32_t phase;
        } transfer;
        uint8_t bytes[MSG_MAX];
    } payload;
} QEMU_PACKED Message;

#define HEADER_SIZE     offsetof(Message, payload)

typedef struct Backend {
    /* set before it runs */
    char *path;
    bool has_state;             /* its state can go along */
    bool refuses_state;
    uint8_t config[CONFIG_SIZE];

    GThread *thread;
    int listener;
    GMutex lock;
    GCond changed;

    /* under the lock */
    bool ended;
    int connection;
    unsigned int connections;
    unsigned int rings;         /* a bit for each that is enabled */
    int inflight;               /* ours, handed out */
    ino_t inflight_back;        /* handed to us last */
    uint64_t log_features;
    char *state;                /* what it saves, or has loaded */
    int loading;
} Backend;

/* --- the backend --- */

static void answer(int connection, Message *msg, uint32_t size, int fd)
{
    struct iovec iov = { .iov_base = msg, .iov_len = HEADER_SIZE + size };
    char control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };

    msg->flags = FLAGS_REPLY;
    msg->size = size;
    if (fd >= 0) {
        struct cmsghdr *cmsg;

        hdr.msg_control = control;
        hdr.msg_controllen = sizeof(control);
        cmsg = CMSG_FIRSTHDR(&hdr);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
    }
    /* a front end that has gone is seen at the next read */
    if (sendmsg(connection, &hdr, MSG_NOSIGNAL) < 0) {
        g_test_message("the front end has gone: %s", strerror(errno));
    }
}

static void answer_u64(int connection, Message *msg, uint64_t value)
{
    msg->payload.u64 = value;
    answer(connection, msg, sizeof(value), -1);
}

/* Read a message; the first descriptor is *@fd, others are closed. */
static bool read_message(int connection, Message *msg, int *fd)
{
    struct iovec iov = { .iov_base = msg, .iov_len = HEADER_SIZE };
    char control[CMSG_SPACE(sizeof(int) * 16)];
    struct msghdr hdr = {
        .msg_iov = &iov, .msg_iovlen = 1,
        .msg_control = control, .msg_controllen = sizeof(control),
    };
    struct cmsghdr *cmsg;

    *fd = -1;
    if (recvmsg(connection, &hdr, MSG_WAITALL) != HEADER_SIZE) {
        return false;
    }
    for (cmsg = CMSG_FIRSTHDR(&hdr); cmsg; cmsg = CMSG_NXTHDR(&hdr, cmsg)) {
        size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        for (size_t i = 0; i < n; i++) {
            int got;

            memcpy(&got, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
            if (*fd < 0) {
                *fd = got;
            } else {
                close(got);
            }
        }
    }
    g_assert_cmpuint(msg->size, <=, sizeof(msg->payload));
    return !msg->size || recv(connection, &msg->payload, msg->size,
                              MSG_WAITALL) == msg->size;
}

static uint64_t offered_protocol_features(const Backend *b)
{
    return 1 << PROTOCOL_F_MQ | 1 << PROTOCOL_F_LOG_SHMFD |
           1 << PROTOCOL_F_CONFIG | 1 << PROTOCOL_F_INFLIGHT |
           (b->has_state ? 1 << PROTOCOL_F_DEVICE_STATE : 0);
}

static void hand_out_inflight(Backend *b, int connection, Message *msg)
{
    if (b->inflight < 0) {
        b->inflight = qemu_memfd_create("inflight", 4096, false, 0, 0,
                                        &error_abort);
    }
    msg->payload.inflight.mmap_size = 4096;
    msg->payload.inflight.mmap_offset = 0;
    answer(connection, msg, sizeof(msg->payload.inflight), b->inflight);
}

static void take_inflight(Backend *b, int fd)
{
    struct stat st;

    g_assert_cmpint(fstat(fd, &st), ==, 0);
    b->inflight_back = st.st_ino;
}

/* The other end of the pipe is read only after the answer; it fits into it. */
static void transfer_state(Backend *b, int connection, Message *msg, int *fd)
{
    bool save = msg->payload.transfer.direction == 0;
    int pipe = *fd;

    answer_u64(connection, msg, NO_DESCRIPTOR);
    if (save) {
        g_assert_cmpint(write(pipe, b->state, strlen(b->state)), ==,
                        strlen(b->state));
    } else {
        b->loading = pipe;
        *fd = -1;
    }
}

static bool load_state(Backend *b)
{
    g_autofree char *text = g_malloc0(4096);
    size_t have = 0;
    ssize_t got;

    if (b->loading < 0) {
        return true;            /* it was saved */
    }
    while ((got = read(b->loading, text + have, 4095 - have)) > 0) {
        have += got;
    }
    close(b->loading);
    b->loading = -1;
    g_free(b->state);
    b->state = g_steal_pointer(&text);
    return !b->refuses_state;
}

/* Under the lock. */
static void serve(Backend *b, int connection, Message *msg, int *fd)
{
    switch (msg->request) {
    case GET_FEATURES:
        answer_u64(connection, msg, BIT_ULL(VIRTIO_F_VERSION_1) |
                   BIT_ULL(F_PROTOCOL_FEATURES) | BIT_ULL(VHOST_F_LOG_ALL) |
                   BIT_ULL(VIRTIO_CSWAP_F_DISCARD));
        break;
    case GET_PROTOCOL_FEATURES:
        answer_u64(connection, msg, offered_protocol_features(b));
        break;
    case GET_QUEUE_NUM:
        answer_u64(connection, msg, QUEUES);
        break;
    case SET_LOG_BASE:
        answer(connection, msg, 0, -1);
        break;
    case SET_VRING_ENABLE:
        if (msg->payload.ring.num) {
            b->rings |= 1u << msg->payload.ring.index;
        } else {
            b->rings &= ~(1u << msg->payload.ring.index);
        }
        break;
    case GET_VRING_BASE:
        b->rings &= ~(1u << msg->payload.ring.index);
        msg->payload.ring.num = 0;
        answer(connection, msg, sizeof(msg->payload.ring), -1);
        break;
    case GET_CONFIG:
        memset(msg->payload.config.bytes, 0, sizeof(msg->payload.config.bytes));
        memcpy(msg->payload.config.bytes, b->config, sizeof(b->config));
        answer(connection, msg, msg->size, -1);
        break;
    case GET_INFLIGHT_FD:
        hand_out_inflight(b, connection, msg);
        break;
    case SET_INFLIGHT_FD:
        take_inflight(b, *fd);
        break;
    case SET_DEVICE_STATE_FD:
        transfer_state(b, connection, msg, fd);
        break;
    case CHECK_DEVICE_STATE:
        answer_u64(connection, msg, load_state(b) ? 0 : 1);
        break;
    default:
        /* the others want no answer */
        break;
    }
}

static void *backend_thread(void *opaque)
{
    Backend *b = opaque;
    int connection;

    while ((connection = accept(b->listener, NULL, NULL)) >= 0) {
        Message msg;
        int fd;

        g_mutex_lock(&b->lock);
        b->connection = connection;
        b->connections++;
        g_mutex_unlock(&b->lock);
        while (read_message(connection, &msg, &fd)) {
            g_mutex_lock(&b->lock);
            serve(b, connection, &msg, &fd);
            g_cond_broadcast(&b->changed);
            g_mutex_unlock(&b->lock);
            if (fd >= 0) {
                close(fd);
            }
        }
        g_mutex_lock(&b->lock);
        b->rings = 0;
        b->connection = -1;
        close(connection);
        g_cond_broadcast(&b->changed);
        g_mutex_unlock(&b->lock);
    }
    return NULL;
}

static Backend *backend_new(const char *dir, const char *name)
{
    Backend *b = g_new0(Backend, 1);

    b->path = g_build_filename(dir, name, NULL);
    b->connection = b->inflight = b->loading = -1;
    b->has_state = true;
    b->state = g_strdup("nothing");
    for (int i = 0; i < CONFIG_SIZE; i++) {
        b->config[i] = i;
    }
    g_mutex_init(&b->lock);
    g_cond_init(&b->changed);
    return b;
}

static void backend_run(Backend *b)
{
    b->listener = unix_listen(b->path, &error_abort);
    b->thread = g_thread_new("backend", backend_thread, b);
}

/* After its QEMU has ended. */
static void backend_free(Backend *b)
{
    shutdown(b->listener, SHUT_RDWR);
    g_thread_join(b->thread);
    close(b->listener);
    if (b->inflight >= 0) {
        close(b->inflight);
    }
    unlink(b->path);
    g_free(b->path);
    g_free(b->state);
    g_mutex_clear(&b->lock);
    g_cond_clear(&b->changed);
    g_free(b);
}

#define wait_until(b, condition) do { \
    gint64 end_ = g_get_monotonic_time() + PATIENCE; \
    g_mutex_lock(&(b)->lock); \
    while (!(condition)) { \
        g_assert_true(g_cond_wait_until(&(b)->changed, &(b)->lock, end_)); \
    } \
    g_mutex_unlock(&(b)->lock); \
} while (0)

/* --- the guest --- */

typedef struct Guest {
    QTestState *qts;
    QGuestAllocator alloc;
    QPCIBus *bus;
    QVirtioPCIDevice *dev;
    QVirtQueue *queues[QUEUES];
} Guest;

static void start_qemu(Guest *g, const Backend *b, const char *more)
{
    g->qts = qtest_initf("-M q35,memory-backend=mem -m 64 -nodefaults "
                         "-object memory-backend-memfd,id=mem,size=64M,share=on"
                         " -chardev socket,id=c,path=%s,reconnect-ms=10 "
                         "-device vhost-user-cswap-pci,chardev=c,addr=4,"
                         "num-queues=%d,queue-size=%d %s",
                         b->path, QUEUES, QUEUE_SIZE, more);
}

static void find_device(Guest *g)
{
    QPCIAddress addr = { .devfn = QPCI_DEVFN(4, 0) };

    pc_alloc_init(&g->alloc, g->qts, 0);
    g->bus = qpci_new_pc(g->qts, &g->alloc);
    g->dev = virtio_pci_new(g->bus, &addr);
    g_assert_nonnull(g->dev);
    qvirtio_pci_device_enable(g->dev);
}

static void start_queues(Guest *g)
{
    QVirtioDevice *d = &g->dev->vdev;
    uint64_t features;

    qvirtio_start_device(d);
    features = qvirtio_get_features(d);
    qvirtio_set_features(d, features);
    for (int i = 0; i < QUEUES; i++) {
        g->queues[i] = qvirtqueue_setup(d, &g->alloc, i);
    }
    qvirtio_set_driver_ok(d);
}

static void end_guest(Guest *g)
{
    if (g->dev) {
        for (int i = 0; i < QUEUES; i++) {
            if (g->queues[i]) {
                qvirtqueue_cleanup(g->dev->vdev.bus, g->queues[i], &g->alloc);
            }
        }
        qvirtio_pci_device_disable(g->dev);
        g_free(g->dev->pdev);
        g_free(g->dev);
        qpci_free_pc(g->bus);
        alloc_destroy(&g->alloc);
    }
    qtest_quit(g->qts);
}

#define ALL_RINGS       ((1u << QUEUES) - 1)

/* --- the tests --- */

static char *scratch;

/* What is between QEMU and the backend is not the guest's. */
static void test_features(void)
{
    Backend *b = backend_new(scratch, "features");
    Guest g = { 0 };
    uint64_t features;

    backend_run(b);
    start_qemu(&g, b, "");
    find_device(&g);
    g_assert_cmpuint(g.dev->vdev.device_type, ==, VIRTIO_ID_CSWAP);
    qvirtio_start_device(&g.dev->vdev);
    features = qvirtio_get_features(&g.dev->vdev);
    g_assert_true(features & BIT_ULL(VIRTIO_CSWAP_F_DISCARD));
    g_assert_false(features & BIT_ULL(VHOST_F_LOG_ALL));
    g_assert_false(features & BIT_ULL(F_PROTOCOL_FEATURES));
    qvirtio_set_features(&g.dev->vdev, features);
    for (int i = 0; i < CONFIG_SIZE; i++) {
        g_assert_cmpuint(qvirtio_config_readb(&g.dev->vdev, i), ==, i);
    }
    end_guest(&g);
    backend_free(b);
}

static void test_queues(void)
{
    Backend *b = backend_new(scratch, "queues");
    Guest g = { 0 };

    backend_run(b);
    start_qemu(&g, b, "");
    find_device(&g);
    start_queues(&g);
    for (int i = 0; i < QUEUES; i++) {
        g_assert_cmpuint(g.queues[i]->size, ==, QUEUE_SIZE);
    }
    wait_until(b, b->rings == ALL_RINGS);
    qvirtio_reset(&g.dev->vdev);
    wait_until(b, b->rings == 0);
    end_guest(&g);
    backend_free(b);
}

/* The queues go on at the next connection, with what was in flight. */
static void test_reconnect(void)
{
    Backend *b = backend_new(scratch, "reconnect");
    Guest g = { 0 };
    struct stat st;

    backend_run(b);
    start_qemu(&g, b, "");
    find_device(&g);
    start_queues(&g);
    wait_until(b, b->rings == ALL_RINGS);
    g_mutex_lock(&b->lock);
    g_assert_cmpint(fstat(b->inflight, &st), ==, 0);
    g_assert_cmpuint(b->inflight_back, ==, st.st_ino);
    b->inflight_back = 0;
    shutdown(b->connection, SHUT_RDWR);
    g_mutex_unlock(&b->lock);

    wait_until(b, b->connections == 2 && b->rings == ALL_RINGS);
    g_assert_cmpuint(b->inflight_back, ==, st.st_ino);
    end_guest(&g);
    backend_free(b);
}

static void await_migration(QTestState *qts, const char *status)
{
    for (;;) {
        QDict *event = qtest_qmp_eventwait_ref(qts, "MIGRATION");
        g_autofree char *now = g_strdup(qdict_get_str(
            qdict_get_qdict(event, "data"), "status"));

        qobject_unref(event);
        if (g_str_equal(now, status)) {
            return;
        }
        g_assert_cmpstr(now, !=, "completed");
        g_assert_cmpstr(now, !=, "failed");
    }
}

static void enable_events(QTestState *qts)
{
    qtest_qmp_assert_success(qts, "{ 'execute': 'migrate-set-capabilities',"
        " 'arguments': { 'capabilities': ["
        " { 'capability': 'events', 'state': true },"
        " { 'capability': 'return-path', 'state': true } ] } }");
}

static void migrate(Backend *from, Backend *to, const char *end)
{
    g_autofree char *uri = g_strdup_printf("unix:%s/migration", scratch);
    Guest source = { 0 }, destination = { 0 };

    g_free(from->state);
    from->state = g_strdup("what the backend has to know");
    backend_run(from);
    backend_run(to);
    start_qemu(&source, from, "");
    start_qemu(&destination, to, "-incoming defer");
    enable_events(source.qts);
    enable_events(destination.qts);
    qtest_qmp_assert_success(destination.qts, "{ 'execute': 'migrate-incoming',"
        " 'arguments': { 'uri': %s, 'exit-on-error': false } }", uri);
    find_device(&source);
    start_queues(&source);
    wait_until(from, from->rings == ALL_RINGS);
    qtest_qmp_assert_success(source.qts, "{ 'execute': 'migrate',"
        " 'arguments': { 'uri': %s } }", uri);
    await_migration(source.qts, end);
    if (g_str_equal(end, "completed")) {
        wait_until(to, to->rings == ALL_RINGS);
        g_assert_cmpstr(to->state, ==, "what the backend has to know");
        g_assert_cmpuint(from->rings, ==, 0);
    } else {
        /* the source goes on */
        wait_until(from, from->rings == ALL_RINGS);
        g_assert_cmpuint(to->rings, ==, 0);
    }
    end_guest(&source);
    end_guest(&destination);
    backend_free(from);
    backend_free(to);
}

static void test_migrate(void)
{
    migrate(backend_new(scratch, "from"), backend_new(scratch, "to"),
            "completed");
}

static void test_migrate_refused(void)
{
    Backend *to = backend_new(scratch, "to");

    to->refuses_state = true;
    migrate(backend_new(scratch, "from"), to, "failed");
}

/* A backend whose store can't go along: known before anything is copied. */
static void test_migrate_blocked(void)
{
    g_autofree char *uri = g_strdup_printf("unix:%s/migration", scratch);
    Backend *b = backend_new(scratch, "blocked");
    Guest g = { 0 };
    QDict *why;

    b->has_state = false;
    backend_run(b);
    start_qemu(&g, b, "");
    why = qtest_qmp_assert_failure_ref(g.qts, "{ 'execute': 'migrate',"
        " 'arguments': { 'uri': %s } }", uri);
    g_assert_nonnull(strstr(qdict_get_str(why, "desc"),
                            "can't go along with the guest"));
    qobject_unref(why);
    end_guest(&g);
    backend_free(b);
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    scratch = g_dir_make_tmp("vhost-user-cswap-XXXXXX", NULL);
    g_assert_nonnull(scratch);
    qtest_add_func("/vhost-user-cswap/features", test_features);
    qtest_add_func("/vhost-user-cswap/queues", test_queues);
    qtest_add_func("/vhost-user-cswap/reconnect", test_reconnect);
    qtest_add_func("/vhost-user-cswap/migrate", test_migrate);
    qtest_add_func("/vhost-user-cswap/migrate/refused", test_migrate_refused);
    qtest_add_func("/vhost-user-cswap/migrate/blocked", test_migrate_blocked);
    ret = g_test_run();
    g_autofree char *left = g_build_filename(scratch, "migration", NULL);

    unlink(left);
    rmdir(scratch);
    g_free(scratch);
    return ret;
}
