import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.utils.AppInfoParser;

import java.util.HexFormat;
import java.util.Scanner;

/** Where Kafka's own producer sends keys: reads a key a line, in hex, and writes what `run` says. */
public class Java {
    public static void main(String[] arguments) {
        System.out.println("# murmur2: kafka-clients " + AppInfoParser.getVersion());
        var keys = new Scanner(System.in);
        while (keys.hasNextLine()) {
            var hex = keys.nextLine();
            // A producer does not ask its partitioner about records without a key.
            if (hex.equals("null")) continue;
            var key = HexFormat.of().parseHex(hex.equals("empty") ? "" : hex);
            var line = new StringBuilder("murmur2 " + hex);
            for (int count : new int[] {1, 2, 3, 12, 100}) {
                line.append(' ').append(BuiltInPartitioner.partitionForKey(key, count));
            }
            System.out.println(line);
        }
    }
}
