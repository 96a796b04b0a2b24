import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.annotation.JsonTypeInfo;
import com.fasterxml.jackson.databind.JavaType;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.introspect.AnnotatedMember;
import com.fasterxml.jackson.databind.introspect.BeanPropertyDefinition;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.strimzi.crdgenerator.annotations.PresentInVersions;
import java.util.ArrayList;
import java.util.List;

/**
 * Prints JSON Schema of a kind of Strimzi's, version v1, from the class that Strimzi itself reads it by: which fields
 * there are, and of which type.
 */
public class StrimziSchemas {
    static final ObjectMapper mapper = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        System.out.println(mapper.writeValueAsString(kind(Class.forName(args[0]))));
    }

    static ObjectNode kind(Class<?> type) {
        ObjectNode schema = mapper.createObjectNode().put("type", "object").put("additionalProperties", false);
        ObjectNode fields = schema.putObject("properties");
        for (String own : List.of("apiVersion", "kind")) fields.putObject(own).put("type", "string");
        fields.putObject("metadata").put("type", "object");
        for (BeanPropertyDefinition field : fieldsOf(mapper.constructType(type))) {
            if (field.getName().equals("spec")) fields.set("spec", schemaOf(field.getPrimaryType()));
        }
        schema.putArray("required").add("spec");
        return schema;
    }

    static ObjectNode schemaOf(JavaType type) {
        ObjectNode schema = mapper.createObjectNode();
        Class<?> raw = type.getRawClass();
        if (raw == String.class || raw == char.class) return schema.put("type", "string");
        if (raw == boolean.class || raw == Boolean.class) return schema.put("type", "boolean");
        if (raw == int.class || raw == long.class || raw == Integer.class || raw == Long.class) return schema.put("type", "integer");
        if (raw == double.class || raw == Double.class || raw == float.class || raw == Float.class) return schema.put("type", "number");
        if (raw.isEnum()) {
            ArrayNode choices = schema.putArray("enum");
            for (Object choice : raw.getEnumConstants()) choices.add(mapper.convertValue(choice, String.class));
            return schema;
        }
        if (type.isCollectionLikeType() || type.isArrayType()) {
            schema.put("type", "array").set("items", schemaOf(type.getContentType()));
            return schema;
        }
        // Kubernetes' own parts are open: they have schemas of their own, and are few in our files.
        if (!raw.getName().startsWith("io.strimzi.")) return raw == Object.class ? schema : schema.put("type", "object");
        return objectOf(type, schema);
    }

    /** A type with several forms has the fields of all of them; the value of `type` selects the form. */
    static ObjectNode objectOf(JavaType type, ObjectNode schema) {
        schema.put("type", "object").put("additionalProperties", false);
        ObjectNode fields = schema.putObject("properties");
        List<JavaType> forms = new ArrayList<>(List.of(type));
        JsonSubTypes subTypes = type.getRawClass().getAnnotation(JsonSubTypes.class);
        if (subTypes != null) {
            String property = type.getRawClass().getAnnotation(JsonTypeInfo.class).property();
            ArrayNode names = fields.putObject(property).putArray("enum");
            for (JsonSubTypes.Type form : subTypes.value()) {
                names.add(form.name());
                forms.add(mapper.constructType(form.value()));
            }
        }
        for (JavaType form : forms) {
            for (BeanPropertyDefinition field : fieldsOf(form)) {
                if (!fields.has(field.getName())) fields.set(field.getName(), schemaOf(field.getPrimaryType()));
            }
        }
        return schema;
    }

    static List<BeanPropertyDefinition> fieldsOf(JavaType type) {
        return mapper.getSerializationConfig().introspect(type).findProperties().stream().filter(StrimziSchemas::isInV1).toList();
    }

    static boolean isInV1(BeanPropertyDefinition field) {
        for (AnnotatedMember member : new AnnotatedMember[] {field.getField(), field.getGetter(), field.getSetter()}) {
            PresentInVersions versions = member == null ? null : member.getAnnotated().getAnnotation(PresentInVersions.class);
            if (versions != null && versions.value().equals("v1beta2")) return false;
        }
        return true;
    }
}
