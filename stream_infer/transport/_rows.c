/* Rows to and from librdkafka without Python's lock.
 *
 * This shared object is two things: a module of Python, and a plugin that librdkafka loads for a client whose property
 * `plugin.library.paths` names it. The plugin learns which client was made, hears of deliveries that failed, and notes
 * where each message that is read lies; the module hands rows to that client, and out what was noted. The two meet in
 * a handle. Of librdkafka only what rdkafka.h promises is used, looked up in the copy that confluent-kafka brings:
 * nothing is linked, and no header is needed. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* From rdkafka.h. */
typedef struct rd_kafka_s rd_kafka_t;
typedef struct rd_kafka_conf_s rd_kafka_conf_t;
typedef struct rd_kafka_topic_s rd_kafka_topic_t;
/* rd_kafka_message_t */
typedef struct {
    int error;
    rd_kafka_topic_t *topic;
    int32_t partition;
    void *value;
    size_t value_size;
    void *key;
    size_t key_size;
    int64_t offset;
    void *reserved;
} message_t;
enum { END = 0, RKT = 2, PARTITION = 3, VALUE = 4, KEY = 5, MSGFLAGS = 7, TIMESTAMP = 8 };
enum { NO_ERROR = 0, COPY = 2 };
typedef int on_new_f(rd_kafka_t *, const rd_kafka_conf_t *, void *, char *, size_t);
typedef int on_destroy_f(rd_kafka_t *, void *);
typedef int on_conf_destroy_f(void *);
typedef int on_message_f(rd_kafka_t *, message_t *, void *);

static struct {
    int (*producev)(rd_kafka_t *, ...);
    rd_kafka_topic_t *(*topic_new)(rd_kafka_t *, const char *, void *);
    void (*topic_destroy)(rd_kafka_topic_t *);
    const char *(*topic_name)(const rd_kafka_topic_t *);
    int (*add_on_new)(rd_kafka_conf_t *, const char *, on_new_f *, void *);
    int (*add_on_conf_destroy)(rd_kafka_conf_t *, const char *, on_conf_destroy_f *, void *);
    int (*add_on_destroy)(rd_kafka_t *, const char *, on_destroy_f *, void *);
    int (*add_on_acknowledgement)(rd_kafka_t *, const char *, on_message_f *, void *);
    int (*add_on_consume)(rd_kafka_t *, const char *, on_message_f *, void *);
    int64_t (*message_timestamp)(const message_t *, int *);
    int (*message_headers)(const message_t *, void **);
} rdkafka;

static const char NAME[] = "stream_infer";
enum { LONGEST_TOPIC = 249 };

/* One message that was read; reads.py knows this layout. */
typedef struct {
    void *topic;
    int64_t offset, timestamp_ms, size;
    int32_t partition, has_headers;
} read_t;

/* Owned by a capsule, and by the configuration of its client, which outlives the threads of that. */
typedef struct {
    atomic_int owners;
    _Atomic(rd_kafka_t *) client;
    atomic_bool is_failing;
    atomic_int failure;
    char failed_topic[LONGEST_TOPIC + 1];
    /* Used by the thread that consumes alone. */
    read_t *reads;
    size_t count, room;
} handle_t;

/* Of the client that this thread makes next. */
static _Thread_local handle_t *expected;

static void release(handle_t *handle) {
    if (atomic_fetch_sub(&handle->owners, 1) == 1) {
        free(handle->reads);
        free(handle);
    }
}

/* ---- The plugin: called by librdkafka, on any thread ---- */

static int on_acknowledgement(rd_kafka_t *client, message_t *message, void *opaque) {
    (void)client;
    handle_t *handle = opaque;
    if (message->error != NO_ERROR && !atomic_exchange(&handle->is_failing, true)) {
        strncpy(handle->failed_topic, message->topic == NULL ? "" : rdkafka.topic_name(message->topic), LONGEST_TOPIC);
        atomic_store(&handle->failure, message->error);
    }
    return NO_ERROR;
}

/* Without memory a message is not noted, and whoever compares the numbers sees that. */
static int on_consume(rd_kafka_t *client, message_t *message, void *opaque) {
    (void)client;
    handle_t *handle = opaque;
    if (handle->count == handle->room) {
        size_t room = handle->room == 0 ? 1024 : 2 * handle->room;
        read_t *reads = realloc(handle->reads, room * sizeof(read_t));
        if (reads == NULL) {
            return NO_ERROR;
        }
        handle->reads = reads;
        handle->room = room;
    }
    int kind;
    void *headers;
    handle->reads[handle->count++] = (read_t){
        .topic = message->topic,
        .offset = message->offset,
        .timestamp_ms = rdkafka.message_timestamp(message, &kind),
        .size = (int64_t)(message->value_size + message->key_size),
        .partition = message->partition,
        .has_headers = rdkafka.message_headers(message, &headers) == NO_ERROR,
    };
    return NO_ERROR;
}

/* The client's threads go on for a while, and give up what is on its way. */
static int on_destroy(rd_kafka_t *client, void *opaque) {
    (void)client;
    handle_t *handle = opaque;
    atomic_store(&handle->client, NULL);
    return NO_ERROR;
}

static int on_conf_destroy(void *opaque) {
    release(opaque);
    return NO_ERROR;
}

static int on_new(rd_kafka_t *client, const rd_kafka_conf_t *conf, void *opaque, char *reason, size_t size) {
    (void)conf;
    if (size > 0) {
        reason[0] = '\0';
    }
    handle_t *handle = opaque;
    int error = rdkafka.add_on_acknowledgement(client, NAME, on_acknowledgement, handle);
    if (error == NO_ERROR) {
        error = rdkafka.add_on_consume(client, NAME, on_consume, handle);
    }
    if (error == NO_ERROR) {
        error = rdkafka.add_on_destroy(client, NAME, on_destroy, handle);
    }
    if (error == NO_ERROR) {
        atomic_store(&handle->client, client);
    }
    return error;
}

/* librdkafka looks for this name in a plugin, and calls it on the thread that makes the client. */
__attribute__((visibility("default"))) int conf_init(rd_kafka_conf_t *conf, void **opaque, char *reason, size_t size) {
    (void)opaque, (void)reason, (void)size;
    handle_t *handle = expected;
    expected = NULL;
    if (handle == NULL) {
        return NO_ERROR;
    }
    int error = rdkafka.add_on_conf_destroy(conf, NAME, on_conf_destroy, handle);
    if (error == NO_ERROR) {
        atomic_fetch_add(&handle->owners, 1);
        error = rdkafka.add_on_new(conf, NAME, on_new, handle);
    }
    return error;
}

/* ---- The module ---- */

/* Columns of as many rows each; `offsets` has one more, the end of the last value. */
typedef struct {
    Py_ssize_t count;
    PyObject *keys;
    Py_buffer offsets, values, partitions, stamps;
} columns_t;

typedef struct {
    char *start;
    Py_ssize_t size;
} bytes_t;

static void forget(PyObject *capsule) {
    handle_t *handle = PyCapsule_GetPointer(capsule, NAME);
    if (expected == handle) {
        expected = NULL;
    }
    release(handle);
}

static PyObject *expect(PyObject *module, PyObject *none) {
    (void)module, (void)none;
    handle_t *handle = calloc(1, sizeof(handle_t));
    if (handle == NULL) {
        return PyErr_NoMemory();
    }
    atomic_store(&handle->owners, 1);
    PyObject *capsule = PyCapsule_New(handle, NAME, forget);
    if (capsule == NULL) {
        free(handle);
        return NULL;
    }
    expected = handle;
    return capsule;
}

static PyObject *is_attached(PyObject *module, PyObject *capsule) {
    (void)module;
    handle_t *handle = PyCapsule_GetPointer(capsule, NAME);
    return handle == NULL ? NULL : PyBool_FromLong(atomic_load(&handle->client) != NULL);
}

static PyObject *failure(PyObject *module, PyObject *capsule) {
    (void)module;
    handle_t *handle = PyCapsule_GetPointer(capsule, NAME);
    if (handle == NULL) {
        return NULL;
    }
    int error = atomic_load(&handle->failure);
    if (error == NO_ERROR) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue("is", error, handle->failed_topic);
}

/* Return what was noted since the last call. */
static PyObject *reads(PyObject *module, PyObject *capsule) {
    (void)module;
    handle_t *handle = PyCapsule_GetPointer(capsule, NAME);
    if (handle == NULL) {
        return NULL;
    }
    size_t count = handle->count;
    handle->count = 0;
    return PyBytes_FromStringAndSize((const char *)handle->reads, (Py_ssize_t)(count * sizeof(read_t)));
}

static int refuse(const char *reason) {
    PyErr_SetString(PyExc_ValueError, reason);
    return -1;
}

/* See that nothing is read beside the buffers. */
static int check(const columns_t *columns) {
    Py_ssize_t count = columns->count;
    if (columns->offsets.len != (count + 1) * (Py_ssize_t)sizeof(int32_t) ||
        columns->partitions.len != count * (Py_ssize_t)sizeof(int32_t) ||
        columns->stamps.len != count * (Py_ssize_t)sizeof(int64_t)) {
        return refuse("columns of different lengths: expected as many rows in each");
    }
    const int32_t *offsets = columns->offsets.buf;
    int32_t last = 0;
    for (Py_ssize_t i = 0; i <= count; i++) {
        if (offsets[i] < last) {
            return refuse("offsets that fall: expected each value behind the one before");
        }
        last = offsets[i];
    }
    return last > columns->values.len ? refuse("offsets behind the end of the values") : 0;
}

/* Point to the keys' bytes, to nothing for None. They live as long as the tuple. */
static bytes_t *read_keys(PyObject *keys, Py_ssize_t count) {
    bytes_t *found = PyMem_Calloc((size_t)(count + 1), sizeof(bytes_t));
    if (found == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *key = PyTuple_GetItem(keys, i);
        if (key != Py_None && PyBytes_AsStringAndSize(key, &found[i].start, &found[i].size) < 0) {
            PyMem_Free(found);
            return NULL;
        }
    }
    return found;
}

/* Return the first row that librdkafka did not take, the count if it took all. Runs without Python's lock. */
static Py_ssize_t give(rd_kafka_t *client, const char *name, const columns_t *columns, const bytes_t *keys,
                       Py_ssize_t first) {
    const int32_t *offsets = columns->offsets.buf, *partitions = columns->partitions.buf;
    const int64_t *stamps = columns->stamps.buf;
    char *values = columns->values.buf;
    rd_kafka_topic_t *topic = rdkafka.topic_new(client, name, NULL);
    if (topic == NULL) {
        return first;
    }
    Py_ssize_t i = first;
    while (i < columns->count &&
           rdkafka.producev(client, RKT, topic, PARTITION, partitions[i], MSGFLAGS, COPY, VALUE, values + offsets[i],
                            (size_t)(offsets[i + 1] - offsets[i]), KEY, keys[i].start, (size_t)keys[i].size, TIMESTAMP,
                            stamps[i], END) == NO_ERROR) {
        i++;
    }
    rdkafka.topic_destroy(topic);
    return i;
}

static PyObject *give_columns(handle_t *handle, const char *topic, const columns_t *columns, Py_ssize_t first) {
    rd_kafka_t *client = atomic_load(&handle->client);
    if (client == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the producer is closed");
        return NULL;
    }
    bytes_t *keys = check(columns) < 0 ? NULL : read_keys(columns->keys, columns->count);
    if (keys == NULL) {
        return NULL;
    }
    Py_ssize_t taken;
    Py_BEGIN_ALLOW_THREADS
    taken = give(client, topic, columns, keys, first < 0 ? 0 : first);
    Py_END_ALLOW_THREADS
    PyMem_Free(keys);
    return PyLong_FromSsize_t(taken);
}

static PyObject *produce(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *capsule, *keys, *taken = NULL;
    const char *topic;
    columns_t columns;
    Py_ssize_t first;
    if (!PyArg_ParseTuple(args, "Osy*y*Oy*y*n", &capsule, &topic, &columns.offsets, &columns.values, &keys,
                          &columns.partitions, &columns.stamps, &first)) {
        return NULL;
    }
    handle_t *handle = PyCapsule_GetPointer(capsule, NAME);
    /* A tuple keeps the keys alive while the lock is not held, whatever becomes of a list. */
    columns.keys = handle == NULL ? NULL : PySequence_Tuple(keys);
    if (columns.keys != NULL) {
        columns.count = PyTuple_Size(columns.keys);
        taken = give_columns(handle, topic, &columns, first);
        Py_DECREF(columns.keys);
    }
    PyBuffer_Release(&columns.offsets);
    PyBuffer_Release(&columns.values);
    PyBuffer_Release(&columns.partitions);
    PyBuffer_Release(&columns.stamps);
    return taken;
}

static int find(void *library, const char *name, void *place) {
    void *address = dlsym(library, name);
    if (address == NULL) {
        PyErr_Format(PyExc_ImportError, "the librdkafka of confluent-kafka has no %s", name);
        return -1;
    }
    memcpy(place, &address, sizeof(address));
    return 0;
}

static int find_all(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (library == NULL) {
        PyErr_Format(PyExc_ImportError, "%s is not loaded", path);
        return -1;
    }
    const struct {
        const char *name;
        void *place;
    } wanted[] = {
        {"rd_kafka_producev", &rdkafka.producev},
        {"rd_kafka_topic_new", &rdkafka.topic_new},
        {"rd_kafka_topic_destroy", &rdkafka.topic_destroy},
        {"rd_kafka_topic_name", &rdkafka.topic_name},
        {"rd_kafka_conf_interceptor_add_on_new", &rdkafka.add_on_new},
        {"rd_kafka_conf_interceptor_add_on_conf_destroy", &rdkafka.add_on_conf_destroy},
        {"rd_kafka_interceptor_add_on_destroy", &rdkafka.add_on_destroy},
        {"rd_kafka_interceptor_add_on_acknowledgement", &rdkafka.add_on_acknowledgement},
        {"rd_kafka_interceptor_add_on_consume", &rdkafka.add_on_consume},
        {"rd_kafka_message_timestamp", &rdkafka.message_timestamp},
        {"rd_kafka_message_headers", &rdkafka.message_headers},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (find(library, wanted[i].name, wanted[i].place) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Find librdkafka behind the module of confluent-kafka. */
static int load(PyObject *module) {
    (void)module;
    PyObject *client = PyImport_ImportModule("confluent_kafka.cimpl");
    PyObject *file = client == NULL ? NULL : PyObject_GetAttrString(client, "__file__");
    PyObject *path = file == NULL ? NULL : PyUnicode_EncodeFSDefault(file);
    int result = path == NULL ? -1 : find_all(PyBytes_AsString(path));
    Py_XDECREF(path);
    Py_XDECREF(file);
    Py_XDECREF(client);
    return result;
}

static PyMethodDef methods[] = {
    {"expect", expect, METH_NOARGS, NULL},
    {"is_attached", is_attached, METH_O, NULL},
    {"produce", produce, METH_VARARGS, NULL},
    {"failure", failure, METH_O, NULL},
    {"reads", reads, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
static PyModuleDef_Slot slots[] = {{Py_mod_exec, load}, {0, NULL}};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_rows", .m_methods = methods, .m_slots = slots};

PyMODINIT_FUNC PyInit__rows(void) { return PyModuleDef_Init(&definition); }
