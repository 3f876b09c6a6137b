import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Assignment;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/**
 * Groups that go through rebalances, and what Kafka's own assignors make of each. A rebalance is
 *
 *   a line for each topic: its name, and the racks of each partition, a digit each, or -
 *   a line for each member: @ID INSTANCE TOPICS RACK GENERATION PARTITION..., with - for none
 *   a line for each assignor: =NAME, and for each topic who has its partitions, a letter each, or - for nobody
 *
 * and an empty line. Members are single letters up to o, which Java's hash tables keep in their order.
 */
public class Assignors {
    private static final int GROUPS = 125;
    private static final int ROUNDS = 8;
    private static final String IDS = "abcdefghijklmno";
    private static final String RACKS = "012";

    private final Random random;
    /** For each topic the racks of its partitions. */
    private final TreeMap<String, List<String>> topics = new TreeMap<>();
    private final TreeMap<String, Member> members = new TreeMap<>();
    private final boolean isCooperative;
    private final boolean isMixed;
    private final boolean hasRacks;
    private int generation = 0;

    private static final class Member {
        String instance = "-";
        TreeSet<String> topics = new TreeSet<>();
        String rack = "-";
        int generation = -1;
        List<TopicPartition> owned = new ArrayList<>();
    }

    private Assignors(int seed) {
        random = new Random(seed);
        isCooperative = seed % 2 == 0;
        isMixed = seed / 2 % 2 == 0;
        hasRacks = seed / 4 % 2 == 0;
        int count = 1 + random.nextInt(4);
        for (int at = 0; at < count; at++) {
            topics.put(String.valueOf((char) ('A' + at)), new ArrayList<>());
        }
        topics.values().forEach(partitions -> grow(partitions, 1 + random.nextInt(10)));
        if (random.nextInt(3) == 0) {
            // All of one size, which are kept partitioned alike.
            int size = topics.get("A").size();
            topics.values().forEach(partitions -> {
                partitions.clear();
                grow(partitions, size);
            });
        }
        for (int at = 1 + random.nextInt(6); at > 0; at--) {
            arrive();
        }
    }

    public static void main(String[] arguments) {
        var out = new StringBuilder();
        for (int seed = 0; seed < GROUPS; seed++) {
            var group = new Assignors(seed);
            for (int round = 0; round < ROUNDS; round++) {
                group.rebalance(out);
                group.change();
            }
        }
        System.out.print(out);
    }

    private void grow(List<String> partitions, int by) {
        for (int at = 0; at < by; at++) {
            var racks = new StringBuilder();
            for (char rack : RACKS.toCharArray()) {
                if (hasRacks && random.nextInt(2) == 0) {
                    racks.append(rack);
                }
            }
            partitions.add(racks.isEmpty() ? "-" : racks.toString());
        }
    }

    private void arrive() {
        if (members.size() == 10) {
            return;
        }
        String id;
        do {
            id = String.valueOf(IDS.charAt(random.nextInt(IDS.length())));
        } while (members.containsKey(id));
        var member = new Member();
        if (random.nextInt(4) == 0) {
            // Another order than that of ids.
            member.instance = String.valueOf((char) ('z' - (id.charAt(0) - 'a')));
        }
        if (hasRacks && random.nextInt(5) != 0) {
            member.rack = String.valueOf(RACKS.charAt(random.nextInt(RACKS.length())));
        }
        wish(member);
        members.put(id, member);
    }

    private void wish(Member member) {
        member.topics.clear();
        member.topics.addAll(topics.keySet());
        if (isMixed) {
            member.topics.removeIf(topic -> random.nextInt(3) == 0);
            if (random.nextInt(8) == 0) {
                member.topics.add("Z");
            }
            if (member.topics.isEmpty()) {
                member.topics.add("A");
            }
        }
    }

    /** What happens from one rebalance to the next. */
    private void change() {
        var ids = new ArrayList<>(members.keySet());
        String one = ids.get(random.nextInt(ids.size()));
        switch (random.nextInt(8)) {
            case 0, 1, 2 -> arrive();
            case 3, 4 -> {
                if (members.size() > 1) {
                    members.remove(one);
                }
            }
            case 5 -> grow(topics.firstEntry().getValue(), 1 + random.nextInt(2));
            case 6 -> {
                // A change of wishes, where they differ at all; or one who was expelled and starts anew.
                if (isMixed) {
                    wish(members.get(one));
                } else {
                    members.get(one).generation = -1;
                    members.get(one).owned.clear();
                }
            }
            default -> {
                if (!isMixed && random.nextInt(3) == 0) {
                    // Somebody claims what others have as well.
                    var others = members.get(ids.get(random.nextInt(ids.size()))).owned;
                    var own = members.get(one).owned;
                    others.stream().filter(it -> !own.contains(it)).limit(2).toList().forEach(own::add);
                }
            }
        }
    }

    private void rebalance(StringBuilder out) {
        describe(out);
        Map<String, List<TopicPartition>> kept = Map.of();
        for (ConsumerPartitionAssignor assignor : List.of(
                new RangeAssignor(), new RoundRobinAssignor(), new StickyAssignor(), new CooperativeStickyAssignor())) {
            Map<String, List<TopicPartition>> shares = shares(assignor);
            boolean keeps = assignor instanceof CooperativeStickyAssignor ? isCooperative : assignor instanceof StickyAssignor;
            kept = keeps ? shares : kept;
            out.append('=').append(assignor.name());
            var owners = new HashMap<TopicPartition, String>();
            shares.forEach((id, share) -> share.forEach(it -> owners.put(it, id)));
            topics.forEach((topic, partitions) -> {
                out.append(' ');
                for (int number = 0; number < partitions.size(); number++) {
                    out.append(owners.getOrDefault(new TopicPartition(topic, number), "-"));
                }
            });
            out.append('\n');
        }
        out.append('\n');
        generation++;
        for (var entry : kept.entrySet()) {
            // Some miss this generation, and come back with what they had.
            if (random.nextInt(10) != 0) {
                Member member = members.get(entry.getKey());
                member.generation = generation;
                member.owned = new ArrayList<>(entry.getValue());
            }
        }
    }

    private void describe(StringBuilder out) {
        topics.forEach((topic, partitions) -> out.append(topic).append(' ').append(String.join(" ", partitions)).append('\n'));
        members.forEach((id, member) -> {
            out.append('@').append(String.join(" ", id, member.instance, String.join("", member.topics), member.rack));
            out.append(' ').append(member.generation);
            member.owned.forEach(it -> out.append(' ').append(it.topic()).append(it.partition()));
            out.append('\n');
        });
    }

    private Map<String, List<TopicPartition>> shares(ConsumerPartitionAssignor assignor) {
        var subscriptions = new TreeMap<String, Subscription>();
        members.forEach((id, member) -> subscriptions.put(id, subscription(assignor, member)));
        var assigned = assignor.assign(cluster(), new GroupSubscription(subscriptions)).groupAssignment();
        return assigned.entrySet().stream().collect(Collectors.toMap(Map.Entry::getKey, it -> it.getValue().partitions()));
    }

    private Subscription subscription(ConsumerPartitionAssignor assignor, Member member) {
        var topics = new ArrayList<>(member.topics);
        var own = assignor instanceof StickyAssignor ? new StickyAssignor() : assignor;
        if (own != assignor && member.generation >= 0) {
            own.onAssignment(new Assignment(member.owned), new ConsumerGroupMetadata("g", member.generation, "m", Optional.empty()));
        }
        var userData = own.subscriptionUserData(Set.copyOf(topics));
        var rack = Optional.of(member.rack).filter(it -> !it.equals("-"));
        var subscription = new Subscription(topics, userData, List.copyOf(member.owned), member.generation, rack);
        subscription.setGroupInstanceId(Optional.of(member.instance).filter(it -> !it.equals("-")));
        return subscription;
    }

    private Cluster cluster() {
        var nodes = new ArrayList<Node>();
        for (int rack = 0; rack < RACKS.length(); rack++) {
            nodes.add(new Node(rack, "node", 9092, String.valueOf(RACKS.charAt(rack))));
        }
        var partitions = new ArrayList<PartitionInfo>();
        topics.forEach((topic, all) -> {
            for (int number = 0; number < all.size(); number++) {
                var racks = all.get(number);
                Node[] replicas = nodes.stream().filter(it -> racks.contains(it.rack())).toArray(Node[]::new);
                partitions.add(new PartitionInfo(topic, number, null, replicas, replicas));
            }
        });
        return new Cluster("c", nodes, partitions, Collections.emptySet(), Collections.emptySet());
    }
}
