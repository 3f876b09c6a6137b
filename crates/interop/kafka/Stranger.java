import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Future;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Kafka's own client, as a stranger to a broker: creates a topic, produces in every codec, reads as a group of two that
 * hands partitions over, commits, and deletes the topic. Ends with an error if anything is not as it should be.
 *
 *   Stranger BROKERS
 */
public class Stranger {
    private static final String TOPIC = "strange";
    private static final String GROUP = "strangers";
    private static final int PARTITIONS = 4;
    private static final Duration STEP = Duration.ofMillis(100);

    private final String brokers;
    /** Every record's value by where it was stored, as the producer was told, and as consumers saw it. */
    private final Map<String, String> stored = new TreeMap<>();
    private final Map<String, String> seen = new TreeMap<>();

    private Stranger(String brokers) {
        this.brokers = brokers;
    }

    public static void main(String[] arguments) throws Exception {
        new Stranger(arguments[0]).run();
    }

    private void run() throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", brokers))) {
            admin.createTopics(List.of(new NewTopic(TOPIC, PARTITIONS, (short) 1))).all().get();
            for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
                produce(codec, 1_000);
            }
            consume();
            checkCommits(admin);
            admin.deleteTopics(List.of(TOPIC)).all().get();
            must(!admin.listTopics().names().get().contains(TOPIC), "the topic is deleted");
        }
    }

    private void produce(String codec, int count) throws Exception {
        Map<String, Object> config = Map.of("bootstrap.servers", brokers, "compression.type", codec, "linger.ms", 5);
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            for (int number = 0; number < count; number++) {
                var record = new ProducerRecord<>(TOPIC, "key-" + number % 97, codec + "-" + number);
                record.headers().add("codec", codec.getBytes(StandardCharsets.UTF_8));
                sent.add(producer.send(record));
            }
        }
        for (int number = 0; number < count; number++) {
            RecordMetadata place = sent.get(number).get();
            String before = stored.put(place.partition() + "/" + place.offset(), codec + "-" + number);
            must(before == null, "no two records are at " + place);
        }
    }

    private void consume() throws Exception {
        try (KafkaConsumer<String, String> one = member()) {
            until("the first member has all partitions", () -> take(one) && one.assignment().size() == PARTITIONS);
            try (KafkaConsumer<String, String> two = member()) {
                until("each has two partitions", () -> take(one) && take(two)
                    && one.assignment().size() == 2 && two.assignment().size() == 2);
                produce("lz4", 1_000);
                until("both have read everything", () -> take(one) && take(two) && seen.size() == stored.size());
                two.commitSync();
            }
            until("the first has all partitions again", () -> take(one) && one.assignment().size() == PARTITIONS);
            produce("none", 500);
            until("the first has read the rest", () -> take(one) && seen.size() == stored.size());
            one.commitSync();
        }
        must(seen.equals(stored), "what was read is what was stored");
    }

    private KafkaConsumer<String, String> member() {
        Map<String, Object> config = Map.of("bootstrap.servers", brokers, "group.id", GROUP,
            "auto.offset.reset", "earliest", "enable.auto.commit", false, "heartbeat.interval.ms", 500);
        var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
        consumer.subscribe(List.of(TOPIC));
        return consumer;
    }

    private boolean take(KafkaConsumer<String, String> consumer) {
        for (ConsumerRecord<String, String> record : consumer.poll(STEP)) {
            String codec = new String(record.headers().lastHeader("codec").value(), StandardCharsets.UTF_8);
            must(record.value().startsWith(codec + "-"), "a header belongs to its record");
            seen.put(record.partition() + "/" + record.offset(), record.value());
        }
        return true;
    }

    private void checkCommits(Admin admin) throws Exception {
        Set<TopicPartition> partitions = java.util.stream.IntStream.range(0, PARTITIONS)
            .mapToObj(partition -> new TopicPartition(TOPIC, partition)).collect(Collectors.toSet());
        var latest = partitions.stream().collect(Collectors.toMap(it -> it, it -> OffsetSpec.latest()));
        var ends = admin.listOffsets(latest).all().get();
        var committed = admin.listConsumerGroupOffsets(GROUP).partitionsToOffsetAndMetadata().get();
        for (TopicPartition partition : partitions) {
            must(committed.get(partition).offset() == ends.get(partition).offset(), partition + " is committed");
        }
        var described = admin.describeConsumerGroups(List.of(GROUP)).all().get().get(GROUP);
        must(described.members().isEmpty(), "the group is empty");
    }

    private static void until(String what, BooleanSupplier yes) {
        long start = System.nanoTime();
        while (!yes.getAsBoolean()) {
            must(System.nanoTime() - start < 120_000_000_000L, what + ", in time");
        }
    }

    private static void must(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError("it does not hold that " + what);
        }
    }
}
