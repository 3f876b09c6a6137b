// Where librdkafka sends keys: reads a key a line, in hex, and writes what `run` says. Those of its partitioners that
// choose by chance where there is no key are not asked about that: they would want a whole topic.

#include <stdint.h>
#include <stdio.h>
#include <string.h>

// From rdkafka.h, so that the library is enough to build this.
typedef int32_t partitioner(const void *topic, const void *key, size_t length, int32_t count, void *, void *);
partitioner rd_kafka_msg_partitioner_consistent, rd_kafka_msg_partitioner_murmur2, rd_kafka_msg_partitioner_fnv1a;
partitioner rd_kafka_msg_partitioner_consistent_random, rd_kafka_msg_partitioner_murmur2_random,
    rd_kafka_msg_partitioner_fnv1a_random;
const char *rd_kafka_version_str(void);

enum ask { ALL, KEYS, KEYS_WITH_BYTES };

static const struct {
    const char *name;
    partitioner *partition;
    enum ask ask;
} partitioners[] = {
    {"consistent", rd_kafka_msg_partitioner_consistent, ALL},
    {"consistent_random", rd_kafka_msg_partitioner_consistent_random, KEYS_WITH_BYTES},
    {"murmur2", rd_kafka_msg_partitioner_murmur2, KEYS},
    {"murmur2_random", rd_kafka_msg_partitioner_murmur2_random, KEYS},
    {"fnv1a", rd_kafka_msg_partitioner_fnv1a, KEYS},
    {"fnv1a_random", rd_kafka_msg_partitioner_fnv1a_random, KEYS},
};

static const int32_t counts[] = {1, 2, 3, 12, 100};

int main(void) {
    char hex[1024];
    unsigned char key[512];
    printf("# consistent, consistent_random, murmur2_random, fnv1a_random: librdkafka %s\n", rd_kafka_version_str());
    while (scanf("%1023s", hex) == 1) {
        int null = !strcmp(hex, "null"), empty = !strcmp(hex, "empty");
        size_t length = null || empty ? 0 : strlen(hex) / 2;
        for (size_t i = 0; i < length; i++) sscanf(hex + 2 * i, "%2hhx", &key[i]);
        for (size_t i = 0; i < sizeof partitioners / sizeof *partitioners; i++) {
            if (partitioners[i].ask != ALL && null) continue;
            if (partitioners[i].ask == KEYS_WITH_BYTES && empty) continue;
            printf("%s %s", partitioners[i].name, hex);
            for (size_t n = 0; n < sizeof counts / sizeof *counts; n++)
                printf(" %d", partitioners[i].partition(NULL, null ? NULL : key, length, counts[n], NULL, NULL));
            printf("\n");
        }
    }
}
