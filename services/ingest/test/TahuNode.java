import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.eclipse.paho.client.mqttv3.MqttMessage;
import org.eclipse.tahu.edge.EdgeClient;
import org.eclipse.tahu.edge.api.MetricHandler;
import org.eclipse.tahu.message.SparkplugBPayloadDecoder;
import org.eclipse.tahu.message.SparkplugBPayloadEncoder;
import org.eclipse.tahu.message.model.EdgeNodeDescriptor;
import org.eclipse.tahu.message.model.MessageType;
import org.eclipse.tahu.message.model.Metric;
import org.eclipse.tahu.message.model.Metric.MetricBuilder;
import org.eclipse.tahu.message.model.MetricDataType;
import org.eclipse.tahu.message.model.SparkplugBPayload;
import org.eclipse.tahu.message.model.SparkplugBPayload.SparkplugBPayloadBuilder;
import org.eclipse.tahu.message.model.SparkplugBPayloadMap;
import org.eclipse.tahu.message.model.SparkplugBPayloadMap.SparkplugBPayloadMapBuilder;
import org.eclipse.tahu.message.model.SparkplugDescriptor;
import org.eclipse.tahu.message.model.StatePayload;
import org.eclipse.tahu.message.model.Topic;
import org.eclipse.tahu.model.MqttServerDefinition;
import org.eclipse.tahu.mqtt.ClientCallback;
import org.eclipse.tahu.mqtt.MqttClientId;
import org.eclipse.tahu.mqtt.MqttServerName;
import org.eclipse.tahu.mqtt.MqttServerUrl;
import org.eclipse.tahu.util.TopicUtil;

/**
 * Edge nodes of Eclipse Tahu with aliases, driven by one JSON object a line on stdin. Writes what they receive, one
 * JSON object a line. Each has one device, and writes the metrics of commands.
 */
public final class TahuNode implements MetricHandler, ClientCallback {
    private static final ObjectMapper json = new ObjectMapper();
    private static final Map<String, TahuNode> nodes = new ConcurrentHashMap<>();
    private static final String namespace = "spBv1.0";

    private final String group;
    private final String node;
    private final String device;
    private final EdgeClient client;
    private final Map<String, Double> nodeValues = new TreeMap<>(Map.of("temperature", 20.0));
    private final Map<String, Double> deviceValues = new TreeMap<>(Map.of("force", 1.0, "speed", 2.0));
    private final Map<Long, String> names = new ConcurrentHashMap<>();
    private long bdSeq = -1;

    private TahuNode(JsonNode request) throws Exception {
        group = request.get("group").asText();
        node = request.get("node").asText();
        device = request.get("device").asText();
        MqttServerDefinition server = new MqttServerDefinition(
            new MqttServerName("server"), new MqttClientId(group + "-" + node, false),
            new MqttServerUrl("tcp://" + request.get("host").asText() + ":" + request.get("port").asInt()),
            text(request, "username"), text(request, "password"), 30, getDeathTopic());
        client = new EdgeClient(this, new EdgeNodeDescriptor(group, node), List.of(device),
            text(request, "primaryHost"), true, 100L, new ArrayList<>(List.of(server)), this, null);
        Thread thread = new Thread(client);
        thread.setDaemon(true);
        thread.start();
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonNode request = json.readTree(line);
            String name = request.get("node").asText();
            String op = request.get("op").asText();
            if (op.equals("connect")) nodes.put(name, new TahuNode(request));
            else nodes.get(name).run(op, request);
            print(Map.of("done", op));
        }
        System.exit(0);
    }

    private void run(String op, JsonNode request) throws Exception {
        if (op.equals("skip")) {
            // A message that is lost on its way.
            client.getNextSeqNum();
            return;
        }
        publish(request.has("device"), request.get("name").asText(), request.get("value").asDouble());
    }

    private void publish(boolean isOfDevice, String name, double value) throws Exception {
        (isOfDevice ? deviceValues : nodeValues).put(name, value);
        SparkplugBPayload payload = new SparkplugBPayloadBuilder().setTimestamp(new Date())
            .addMetric(metric(name, value)).createPayload();
        if (isOfDevice) client.publishDeviceData(device, payload);
        else client.publishNodeData(payload);
    }

    @Override
    public Topic getDeathTopic() {
        return new Topic(namespace, group, node, MessageType.NDEATH);
    }

    /** Called before each connect. */
    @Override
    public byte[] getDeathPayloadBytes() throws Exception {
        bdSeq = (bdSeq + 1) % 256;
        SparkplugBPayload payload = new SparkplugBPayloadBuilder().setTimestamp(new Date())
            .addMetric(bdSeqMetric()).createPayload();
        return new SparkplugBPayloadEncoder().getBytes(payload, true);
    }

    @Override
    public void publishBirthSequence() {
        try {
            List<Metric> ofNode = metrics(nodeValues);
            SparkplugBPayloadMap birth = new SparkplugBPayloadMapBuilder().setTimestamp(new Date())
                .addMetrics(ofNode).addMetric(bdSeqMetric()).createPayload();
            client.publishNodeBirth(birth);
            List<Metric> ofDevice = metrics(deviceValues);
            client.publishDeviceBirth(device, new SparkplugBPayloadBuilder().setTimestamp(new Date())
                .addMetrics(ofDevice).createPayload());
            for (Metric metric : ofNode) names.put(metric.getAlias(), metric.getName());
            for (Metric metric : ofDevice) names.put(metric.getAlias(), metric.getName());
            print(Map.of("birth", node));
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    @Override
    public boolean hasMetric(SparkplugDescriptor descriptor, String name) {
        return nodeValues.containsKey(name) || deviceValues.containsKey(name);
    }

    @Override
    public void messageArrived(
        MqttServerName name, MqttServerUrl url, MqttClientId id, String rawTopic, MqttMessage message) {
        try {
            Topic topic = TopicUtil.parseTopic(rawTopic);
            if (rawTopic.startsWith(namespace + "/STATE/")) {
                StatePayload state = json.readValue(message.getPayload(), StatePayload.class);
                print(Map.of("state", state.isOnline(), "node", node));
                client.handleStateMessage(topic.getHostApplicationId(), state);
                return;
            }
            if (!topic.isType(MessageType.NCMD) && !topic.isType(MessageType.DCMD)) return;
            SparkplugBPayload payload = new SparkplugBPayloadDecoder().buildFromByteArray(message.getPayload(), null);
            Map<String, Object> written = new LinkedHashMap<>();
            for (Metric metric : payload.getMetrics())
                written.put(metric.hasName() ? metric.getName() : names.get(metric.getAlias()), metric.getValue());
            print(Map.of("command", rawTopic, "names", written.keySet()));
            if (written.containsKey("Node Control/Rebirth")) {
                client.handleRebirthRequest(true);
                return;
            }
            for (Map.Entry<String, Object> each : written.entrySet())
                publish(topic.isType(MessageType.DCMD), each.getKey(), ((Number) each.getValue()).doubleValue());
        } catch (Exception error) {
            error.printStackTrace();
        }
    }

    @Override
    public void connectComplete(boolean reconnect, MqttServerName name, MqttServerUrl url, MqttClientId id) {}

    @Override
    public void connectionLost(MqttServerName name, MqttServerUrl url, MqttClientId id, Throwable cause) {
        print(Map.of("lost", node));
    }

    @Override
    public void shutdown() {}

    private Metric bdSeqMetric() throws Exception {
        return new MetricBuilder("bdSeq", MetricDataType.Int64, bdSeq).createMetric();
    }

    private static List<Metric> metrics(Map<String, Double> values) throws Exception {
        List<Metric> metrics = new ArrayList<>();
        for (Map.Entry<String, Double> each : values.entrySet()) metrics.add(metric(each.getKey(), each.getValue()));
        return metrics;
    }

    private static Metric metric(String name, double value) throws Exception {
        return new MetricBuilder(name, MetricDataType.Double, value).timestamp(new Date()).createMetric();
    }

    private static String text(JsonNode request, String field) {
        return request.has(field) ? request.get(field).asText() : null;
    }

    private static synchronized void print(Object message) {
        try {
            System.out.println(json.writeValueAsString(message));
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }
}
