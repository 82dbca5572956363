/*
 * A stand-in for NVIDIA's libnvidia-ml.so.1: the C interface of NVML over GPUs that a text file makes up.
 *
 * It answers what the probe asks; stubs that stand_in.py generates say "not supported" to all else.
 * NVML_PROFILE names the file. It is read again at each call, so that a test can change a GPU in use.
 *
 * A profile has a line `key = value` for each fact; `#` begins a comment. Of the machine:
 *
 *   gpus = 8                  how many GPUs are counted
 *   driver = 535.161.08       version of the driver
 *   cuda = 12020              highest CUDA version, as NVML gives it: 12.2
 *   init_error = 18           nvmlReturn_t of nvmlInit
 *   count_error = 999         nvmlReturn_t of nvmlDeviceGetCount
 *
 * and of a GPU, as `gpu.KEY` for all of them or `gpu.INDEX.KEY` for one, which counts more. A fact that is
 * not there, or is empty, is "not supported":
 *
 *   error = 15                nvmlReturn_t of the GPU's handle
 *   name = NVIDIA A30         required
 *   name_error = 15           nvmlReturn_t of its name
 *   bus = 0000:07:00          domain, bus and device, in hexadecimal
 *   pci_device = 20B7         in hexadecimal
 *   memory_mib = 24576
 *   memory_error = 15         nvmlReturn_t of its memory
 *   power_max_w = 165         the highest limit that may be set
 *   power_w = 165             the limit that holds
 *   capability = 8.0          compute capability
 *   ecc = 1
 *   mig = 1                   whether it is in MIG mode
 *   instances = 1g.10gb:9728 - 1g.10gb:9728     profile and MiB of its MIG instances; a hyphen is a hole
 *   bare_names = 1            its instances do not have the profile in their names
 *   processes = 4242:8192 4243:-                pid and MiB; a hyphen is not known to the driver
 *   processes_of_instance_0 = ...               the same for a MIG instance
 *
 * UUIDs follow from the numbers: GPU 3 is GPU-33333333-..., its instance 0 is MIG-33333333-....
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef NVML_HEADER /* -DNVML_HEADER='"nvml.h"' checks this file against NVIDIA's own declarations */
#define NVML_NO_UNVERSIONED_FUNC_DEFS
#include NVML_HEADER
#else
typedef enum {
    NVML_SUCCESS = 0,
    NVML_ERROR_UNINITIALIZED = 1,
    NVML_ERROR_INVALID_ARGUMENT = 2,
    NVML_ERROR_NOT_SUPPORTED = 3,
    NVML_ERROR_NOT_FOUND = 6,
    NVML_ERROR_INSUFFICIENT_SIZE = 7,
    NVML_ERROR_UNKNOWN = 999
} nvmlReturn_t;

typedef enum { NVML_FEATURE_DISABLED = 0, NVML_FEATURE_ENABLED = 1 } nvmlEnableState_t;

typedef struct nvmlDevice_st *nvmlDevice_t;

typedef struct {
    char busIdLegacy[16];
    unsigned int domain;
    unsigned int bus;
    unsigned int device;
    unsigned int pciDeviceId;
    unsigned int pciSubSystemId;
    char busId[32];
} nvmlPciInfo_t;

typedef struct {
    unsigned long long total;
    unsigned long long free;
    unsigned long long used;
} nvmlMemory_t;

typedef struct {
    unsigned int multiprocessorCount;
    unsigned int sharedCopyEngineCount;
    unsigned int sharedDecoderCount;
    unsigned int sharedEncoderCount;
    unsigned int sharedJpegCount;
    unsigned int sharedOfaCount;
    unsigned int gpuInstanceSliceCount;
    unsigned int computeInstanceSliceCount;
    unsigned long long memorySizeMB;
} nvmlDeviceAttributes_t;

typedef struct {
    unsigned int pid;
    unsigned long long usedGpuMemory;
    unsigned int gpuInstanceId;
    unsigned int computeInstanceId;
} nvmlProcessInfo_t;
#endif

_Static_assert(sizeof(nvmlReturn_t) == 4, "size of nvmlReturn_t");
_Static_assert(sizeof(nvmlEnableState_t) == 4, "size of nvmlEnableState_t");
_Static_assert(sizeof(nvmlPciInfo_t) == 68, "size of nvmlPciInfo_t");
_Static_assert(sizeof(nvmlMemory_t) == 24, "size of nvmlMemory_t");
_Static_assert(sizeof(nvmlDeviceAttributes_t) == 40, "size of nvmlDeviceAttributes_t");
_Static_assert(sizeof(nvmlProcessInfo_t) == 24, "size of nvmlProcessInfo_t");

enum {
    MAX_GPUS = 16,
    MAX_INSTANCES = 7,
    WHOLE = -1, /* in place of the number of an instance */
    VENDOR = 0x10DE
};
#define MIB (1024ULL * 1024ULL)
#define UNKNOWN_MEMORY (~0ULL) /* NVML_VALUE_NOT_AVAILABLE */
#define NO_INSTANCE 0xFFFFFFFFu

struct nvmlDevice_st {
    int gpu;
    int instance;
};

static struct nvmlDevice_st gpus[MAX_GPUS];
static struct nvmlDevice_st instances[MAX_GPUS][MAX_INSTANCES];
static int users;
static char profile[65536];

/* ---- The profile --------------------------------------------------------------------------------------- */

static void read_profile(void)
{
    const char *path = getenv("NVML_PROFILE");
    FILE *file = path ? fopen(path, "r") : NULL;
    size_t length = 0;

    if (file) {
        length = fread(profile, 1, sizeof profile - 1, file);
        fclose(file);
    }
    profile[length] = '\0';
}

/* Copies what is left of a line, without a comment and the spaces before it. */
static void copy_value(const char *text, char *value, size_t size)
{
    size_t length = strcspn(text, "#\n");

    while (length && text[length - 1] == ' ')
        length--;
    snprintf(value, size, "%.*s", (int)length, text);
}

/* Returns whether the profile has a line for a key, and copies its value. */
static int find(const char *wanted, char *value, size_t size)
{
    size_t key = strlen(wanted);
    const char *line = profile;

    while (line) {
        if (!strncmp(line, wanted, key)) {
            const char *text = line + key + strspn(line + key, " ");
            if (*text == '=') {
                text += 1 + strspn(text + 1, " ");
                copy_value(text, value, size);
                return 1;
            }
        }
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return 0;
}

static int number(const char *key, int otherwise)
{
    char value[32];

    return find(key, value, sizeof value) ? atoi(value) : otherwise;
}

/* Returns whether a GPU has this trait, and copies it. An empty one of its own hides that of all. */
static int trait(nvmlDevice_t device, const char *key, char *value, size_t size)
{
    char full[64];

    snprintf(full, sizeof full, "gpu.%d.%s", device->gpu, key);
    if (find(full, value, size))
        return *value != '\0';
    snprintf(full, sizeof full, "gpu.%s", key);
    return find(full, value, size) && *value != '\0';
}

static int trait_number(nvmlDevice_t device, const char *key, int otherwise)
{
    char value[32];

    return trait(device, key, value, sizeof value) ? atoi(value) : otherwise;
}

/* Finds an instance in the list of its GPU. Returns whether there is one of this number. */
static int find_instance(nvmlDevice_t gpu, int wanted, char *mig_profile, size_t size,
                         unsigned long long *mib)
{
    char list[512], *entry, *rest = NULL;
    int index = 0;

    if (!trait(gpu, "instances", list, sizeof list))
        return 0;
    for (entry = strtok_r(list, " ", &rest); entry; entry = strtok_r(NULL, " ", &rest), index++) {
        char *colon = strchr(entry, ':');
        if (index == wanted && colon) {
            *mib = strtoull(colon + 1, NULL, 10);
            *colon = '\0';
            snprintf(mig_profile, size, "%s", entry);
            return 1;
        }
    }
    return 0;
}

/* ---- What all calls begin with ------------------------------------------------------------------------- */

static nvmlReturn_t begin(nvmlDevice_t device)
{
    if (!users)
        return NVML_ERROR_UNINITIALIZED;
    if (!device)
        return NVML_ERROR_INVALID_ARGUMENT;
    read_profile();
    return (nvmlReturn_t)trait_number(device, "error", NVML_SUCCESS);
}

#define BEGIN(device)                              \
    do {                                           \
        nvmlReturn_t problem = begin(device);      \
        if (problem != NVML_SUCCESS)               \
            return problem;                        \
    } while (0)

static nvmlReturn_t give(char *to, unsigned int size, const char *text)
{
    if (strlen(text) + 1 > size)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    strcpy(to, text);
    return NVML_SUCCESS;
}

static nvmlReturn_t give_setting(char *to, unsigned int size, const char *key)
{
    char value[96];

    if (!users)
        return NVML_ERROR_UNINITIALIZED;
    read_profile();
    return find(key, value, sizeof value) ? give(to, size, value) : NVML_ERROR_NOT_SUPPORTED;
}

/* Gives a limit in milliwatts, which the profile has in watts. */
static nvmlReturn_t give_power(nvmlDevice_t device, const char *key, unsigned int *milliwatts)
{
    char value[32];

    BEGIN(device);
    if (device->instance != WHOLE || !trait(device, key, value, sizeof value))
        return NVML_ERROR_NOT_SUPPORTED;
    *milliwatts = (unsigned int)(atof(value) * 1000.0 + 0.5);
    return NVML_SUCCESS;
}

/* ---- The library --------------------------------------------------------------------------------------- */

nvmlReturn_t nvmlInitWithFlags(unsigned int flags)
{
    nvmlReturn_t problem;

    (void)flags;
    read_profile();
    problem = (nvmlReturn_t)number("init_error", NVML_SUCCESS);
    if (problem != NVML_SUCCESS)
        return problem;
    for (int gpu = 0; gpu < MAX_GPUS; gpu++) {
        gpus[gpu] = (struct nvmlDevice_st){.gpu = gpu, .instance = WHOLE};
        for (int number = 0; number < MAX_INSTANCES; number++)
            instances[gpu][number] = (struct nvmlDevice_st){.gpu = gpu, .instance = number};
    }
    users++;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlInit_v2(void)
{
    return nvmlInitWithFlags(0);
}

nvmlReturn_t nvmlShutdown(void)
{
    if (!users)
        return NVML_ERROR_UNINITIALIZED;
    users--;
    return NVML_SUCCESS;
}

const char *nvmlErrorString(nvmlReturn_t result)
{
    static char text[32];

    snprintf(text, sizeof text, "error %d", (int)result);
    return text;
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
    return give_setting(version, length, "driver");
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version)
{
    char value[32];
    nvmlReturn_t problem = give_setting(value, sizeof value, "cuda");

    if (problem == NVML_SUCCESS)
        *version = atoi(value);
    return problem;
}

/* ---- GPUs ---------------------------------------------------------------------------------------------- */

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count)
{
    if (!users)
        return NVML_ERROR_UNINITIALIZED;
    read_profile();
    *count = (unsigned int)number("gpus", 0);
    return (nvmlReturn_t)number("count_error", NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    if (!users)
        return NVML_ERROR_UNINITIALIZED;
    read_profile();
    if (index >= MAX_GPUS || index >= (unsigned int)number("gpus", 0))
        return NVML_ERROR_INVALID_ARGUMENT;
    BEGIN(&gpus[index]);
    *device = &gpus[index];
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length)
{
    char model[96], mig_profile[32], full[160];
    unsigned long long mib;
    nvmlReturn_t problem;

    BEGIN(device);
    problem = (nvmlReturn_t)trait_number(device, "name_error", NVML_SUCCESS);
    if (problem != NVML_SUCCESS)
        return problem;
    if (!trait(device, "name", model, sizeof model))
        return NVML_ERROR_UNKNOWN;
    if (!find_instance(device, device->instance, mig_profile, sizeof mig_profile, &mib) ||
        trait_number(device, "bare_names", 0))
        return give(name, length, model);
    snprintf(full, sizeof full, "%s MIG %s", model, mig_profile);
    return give(name, length, full);
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length)
{
    char text[64];
    int whole;

    BEGIN(device);
    whole = device->instance == WHOLE;
    snprintf(text, sizeof text, "%s-%08x-5eed-4000-8000-%012x", whole ? "GPU" : "MIG",
             0x11111111u * (unsigned int)device->gpu, whole ? 0 : device->instance + 1);
    return give(uuid, length, text);
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    char bus[32], id[32];

    BEGIN(device);
    memset(pci, 0, sizeof *pci);
    if (!trait(device, "bus", bus, sizeof bus) || !trait(device, "pci_device", id, sizeof id) ||
        sscanf(bus, "%x:%x:%x", &pci->domain, &pci->bus, &pci->device) != 3)
        return NVML_ERROR_NOT_SUPPORTED;
    pci->pciDeviceId = (unsigned int)strtoul(id, NULL, 16) << 16 | VENDOR;
    snprintf(pci->busId, sizeof pci->busId, "%08X:%02X:%02X.0", pci->domain, pci->bus, pci->device);
    snprintf(pci->busIdLegacy, sizeof pci->busIdLegacy, "%04X:%02X:%02X.0", pci->domain & 0xFFFF,
             pci->bus & 0xFF, pci->device & 0xFF);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    char mig_profile[32];
    unsigned long long mib;
    nvmlReturn_t problem;

    BEGIN(device);
    problem = (nvmlReturn_t)trait_number(device, "memory_error", NVML_SUCCESS);
    if (problem != NVML_SUCCESS)
        return problem;
    if (!find_instance(device, device->instance, mig_profile, sizeof mig_profile, &mib))
        mib = (unsigned long long)trait_number(device, "memory_mib", 0);
    if (!mib)
        return NVML_ERROR_NOT_SUPPORTED;
    *memory = (nvmlMemory_t){.total = mib * MIB, .free = mib * MIB, .used = 0};
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t device, unsigned int *lowest,
                                                          unsigned int *highest)
{
    *lowest = 100 * 1000;
    return give_power(device, "power_max_w", highest);
}

nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t device, unsigned int *limit)
{
    return give_power(device, "power_w", limit);
}

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor)
{
    char value[32];

    BEGIN(device);
    if (!trait(device, "capability", value, sizeof value) || sscanf(value, "%d.%d", major, minor) != 2)
        return NVML_ERROR_NOT_SUPPORTED;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t device, nvmlEnableState_t *current, nvmlEnableState_t *pending)
{
    int on;

    BEGIN(device);
    on = trait_number(device, "ecc", -1);
    if (on < 0 || device->instance != WHOLE)
        return NVML_ERROR_NOT_SUPPORTED;
    *current = *pending = on ? NVML_FEATURE_ENABLED : NVML_FEATURE_DISABLED;
    return NVML_SUCCESS;
}

/* ---- MIG ----------------------------------------------------------------------------------------------- */

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int *current, unsigned int *pending)
{
    int on;

    BEGIN(device);
    on = trait_number(device, "mig", -1);
    if (on < 0)
        return NVML_ERROR_NOT_SUPPORTED;
    *current = *pending = (unsigned int)on;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned int *count)
{
    BEGIN(device);
    *count = trait_number(device, "mig", -1) < 0 ? 0 : MAX_INSTANCES;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index,
                                                 nvmlDevice_t *instance)
{
    char mig_profile[32];
    unsigned long long mib;

    BEGIN(device);
    if (device->instance != WHOLE || index >= MAX_INSTANCES)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (trait_number(device, "mig", -1) < 1)
        return NVML_ERROR_NOT_SUPPORTED;
    if (!find_instance(device, (int)index, mig_profile, sizeof mig_profile, &mib))
        return NVML_ERROR_NOT_FOUND;
    *instance = &instances[device->gpu][index];
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t device, nvmlDeviceAttributes_t *attributes)
{
    char mig_profile[32];
    unsigned long long mib;
    unsigned int compute, slices;

    BEGIN(device);
    if (!find_instance(device, device->instance, mig_profile, sizeof mig_profile, &mib))
        return NVML_ERROR_NOT_SUPPORTED;
    if (sscanf(mig_profile, "%uc.%ug", &compute, &slices) != 2) {
        if (sscanf(mig_profile, "%ug", &slices) != 1)
            return NVML_ERROR_UNKNOWN;
        compute = slices;
    }
    memset(attributes, 0, sizeof *attributes);
    attributes->gpuInstanceSliceCount = slices;
    attributes->computeInstanceSliceCount = compute;
    attributes->memorySizeMB = mib;
    return NVML_SUCCESS;
}

/* ---- Processes ----------------------------------------------------------------------------------------- */

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int *count,
                                                     nvmlProcessInfo_t *processes)
{
    char list[512] = "", key[32] = "processes", *entry, *rest = NULL;
    unsigned int room, found = 0;

    BEGIN(device);
    if (device->instance != WHOLE)
        snprintf(key, sizeof key, "processes_of_instance_%d", device->instance);
    room = processes ? *count : 0;
    trait(device, key, list, sizeof list);
    for (entry = strtok_r(list, " ", &rest); entry; entry = strtok_r(NULL, " ", &rest), found++) {
        char *mib = strchr(entry, ':');
        if (found < room && mib)
            processes[found] = (nvmlProcessInfo_t){
                .pid = (unsigned int)strtoul(entry, NULL, 10),
                .usedGpuMemory = mib[1] == '-' ? UNKNOWN_MEMORY : strtoull(mib + 1, NULL, 10) * MIB,
                .gpuInstanceId = NO_INSTANCE,
                .computeInstanceId = NO_INSTANCE,
            };
    }
    *count = found;
    return found > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}
