import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Kafka's own client as a writer of transactions: two producers whose transactions overlap, every third of which is
 * aborted, with records between them that belong to none. One transaction is left open, and a record behind it.
 *
 *   Transactions BROKERS TOPIC PARTITIONS
 */
public class Transactions {
    private static final int ROUNDS = 30;
    private static final int RECORDS = 5;

    private final String topic;
    private final int partitions;
    private int sent;

    private Transactions(String topic, int partitions) {
        this.topic = topic;
        this.partitions = partitions;
    }

    public static void main(String[] arguments) throws Exception {
        new Transactions(arguments[1], Integer.parseInt(arguments[2])).run(arguments[0]);
        // The open transaction is not closed, as by a process that dies.
        Runtime.getRuntime().halt(0);
    }

    private void run(String brokers) throws Exception {
        var one = producer(brokers, Map.of("transactional.id", "one", "transaction.timeout.ms", 5_000));
        var two = producer(brokers, Map.of("transactional.id", "two"));
        var plain = producer(brokers, Map.of());
        one.initTransactions();
        two.initTransactions();
        for (int round = 0; round < ROUNDS; round++) {
            boolean aborts = round % 3 == 0;
            one.beginTransaction();
            two.beginTransaction();
            send(one, aborts ? "aborted" : "kept");
            send(two, aborts ? "kept" : "aborted");
            send(plain, "plain");
            send(one, aborts ? "aborted" : "kept");
            end(one, aborts);
            end(two, !aborts);
        }
        one.beginTransaction();
        send(one, "open");
        send(plain, "last");
    }

    private KafkaProducer<String, String> producer(String brokers, Map<String, Object> more) {
        var config = new java.util.HashMap<String, Object>(more);
        config.put("bootstrap.servers", brokers);
        return new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
    }

    /** Sends to every partition, and waits until it is written. */
    private void send(KafkaProducer<String, String> producer, String what) throws Exception {
        List<Future<RecordMetadata>> written = new ArrayList<>();
        for (int record = 0; record < RECORDS * partitions; record++) {
            written.add(producer.send(new ProducerRecord<>(topic, record % partitions, null, what + " " + sent++)));
        }
        for (Future<RecordMetadata> it : written) {
            it.get();
        }
    }

    private static void end(KafkaProducer<String, String> producer, boolean aborts) {
        if (aborts) {
            producer.abortTransaction();
        } else {
            producer.commitTransaction();
        }
    }
}
