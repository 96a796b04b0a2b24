// Generated from proto/ by scripts/generate.ts. Do not edit.
/*eslint-disable block-scoped-var, id-length, no-control-regex, no-magic-numbers, no-mixed-operators, no-prototype-builtins, no-redeclare, no-shadow, no-var, sort-vars, default-case, jsdoc/require-param*/
import $protobuf from "protobufjs/minimal.js";

const $Reader = $protobuf.Reader, $Writer = $protobuf.Writer, $util = $protobuf.util;
const $Object = $util.global.Object, $undefined = $util.global.undefined, $Error = $util.global.Error, $RangeError = $util.global.RangeError;

const $uint64 = (reader) => {
    let value = 0;
    const start = reader.pos;
    for (let scale = 1, count = 0; count < 10; ++count, scale *= 128) {
        if (reader.pos >= reader.len)
            throw $RangeError("index out of range");
        const byte = reader.buf[reader.pos++];
        value += (byte & 127) * scale;
        if (byte < 128)
            return value > 9007199254740991 ? $wideUint64(reader.buf, start, reader.pos) : value;
    }
    throw $Error("invalid varint encoding");
};

const $wideUint64 = (bytes, start, end) => {
    let value = 0n;
    for (let at = end - 1; at >= start; --at)
        value = value << 7n | BigInt(bytes[at] & 127);
    return BigInt.asUintN(64, value);
};

const $bits = (value) => typeof value === "bigint"
    ? { low: Number(BigInt.asUintN(32, value)), high: Number(BigInt.asUintN(32, value >> 32n)) }
    : value;

const $root = $protobuf.roots["sparkplug"] || ($protobuf.roots["sparkplug"] = {});

export const tailrace = $root.tailrace = (() => {

    const tailrace = {};

    tailrace.sparkplug = (function() {

        const sparkplug = {};

        sparkplug.v1 = (function() {

            const v1 = {};

            v1.Payload = (function() {

                const Payload = function (properties) {
                    this.metrics = [];
                    if (properties)
                        for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                };

                Payload.prototype.timestamp = null;
                Payload.prototype.metrics = $util.emptyArray;
                Payload.prototype.seq = null;
                Payload.prototype.uuid = null;
                Payload.prototype.body = null;

                let $oneOfFields;

                // Virtual OneOf for proto3 optional field
                $Object.defineProperty(Payload.prototype, "_timestamp", {
                    get: $util.oneOfGetter($oneOfFields = ["timestamp"]),
                    set: $util.oneOfSetter($oneOfFields)
                });

                // Virtual OneOf for proto3 optional field
                $Object.defineProperty(Payload.prototype, "_seq", {
                    get: $util.oneOfGetter($oneOfFields = ["seq"]),
                    set: $util.oneOfSetter($oneOfFields)
                });

                // Virtual OneOf for proto3 optional field
                $Object.defineProperty(Payload.prototype, "_uuid", {
                    get: $util.oneOfGetter($oneOfFields = ["uuid"]),
                    set: $util.oneOfSetter($oneOfFields)
                });

                // Virtual OneOf for proto3 optional field
                $Object.defineProperty(Payload.prototype, "_body", {
                    get: $util.oneOfGetter($oneOfFields = ["body"]),
                    set: $util.oneOfSetter($oneOfFields)
                });

                Payload.encode = function (message, writer, _depth) {
                    if (!writer)
                        writer = $Writer.create();
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $util.recursionLimit)
                        throw $Error("max depth exceeded");
                    if (message.timestamp != null && $Object.hasOwnProperty.call(message, "timestamp"))
                        writer.uint32(8).uint64($bits(message.timestamp));
                    if (message.metrics != null && message.metrics.length)
                        for (let i = 0; i < message.metrics.length; ++i)
                            $root.tailrace.sparkplug.v1.Metric.encode(message.metrics[i], writer.uint32(18).fork(), _depth + 1).ldelim();
                    if (message.seq != null && $Object.hasOwnProperty.call(message, "seq"))
                        writer.uint32(24).uint64($bits(message.seq));
                    if (message.uuid != null && $Object.hasOwnProperty.call(message, "uuid"))
                        writer.uint32(34).string(message.uuid);
                    if (message.body != null && $Object.hasOwnProperty.call(message, "body"))
                        writer.uint32(42).bytes(message.body);
                    if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                        for (let i = 0; i < message.$unknowns.length; ++i)
                            writer.raw(message.$unknowns[i]);
                    return writer;
                };

                Payload.decode = function (reader, length, _end, _depth, _target) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $Reader.recursionLimit)
                        throw $Error("max depth exceeded");
                    let end, message;
                    if (length === $undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw $RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = _target || new $root.tailrace.sparkplug.v1.Payload();
                    while (reader.pos < end) {
                        let start = reader.pos;
                        let tag = reader.tag();
                        if (tag === _end) {
                            _end = $undefined;
                            break;
                        }
                        let wireType = tag & 7;
                        switch (tag >>>= 3) {
                        case 1: {
                                if (wireType !== 0)
                                    break;
                                message.timestamp = $uint64(reader);
                                message._timestamp = "timestamp";
                                continue;
                            }
                        case 2: {
                                if (wireType !== 2)
                                    break;
                                if (!(message.metrics && message.metrics.length))
                                    message.metrics = [];
                                message.metrics.push($root.tailrace.sparkplug.v1.Metric.decode(reader, reader.size(), $undefined, _depth + 1));
                                continue;
                            }
                        case 3: {
                                if (wireType !== 0)
                                    break;
                                message.seq = $uint64(reader);
                                message._seq = "seq";
                                continue;
                            }
                        case 4: {
                                if (wireType !== 2)
                                    break;
                                message.uuid = reader.stringVerify();
                                message._uuid = "uuid";
                                continue;
                            }
                        case 5: {
                                if (wireType !== 2)
                                    break;
                                message.body = reader.bytes();
                                message._body = "body";
                                continue;
                            }
                        }
                        reader.skipType(wireType, _depth, tag);
                        if (!reader.discardUnknown) {
                            $util.makeProp(message, "$unknowns", false);
                            (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                        }
                    }
                    if (length !== $undefined) {
                        if (reader.pos !== end)
                            throw $RangeError("index out of range");
                        reader.len = length;
                    }
                    if (_end !== $undefined)
                        throw $Error("missing end group");
                    return message;
                };

                return Payload;
            })();

            v1.Metric = (function() {

                const Metric = function (properties) {
                    if (properties)
                        for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                };

                Metric.prototype.name = null;
                Metric.prototype.alias = null;
                Metric.prototype.timestamp = null;
                Metric.prototype.datatype = null;
                Metric.prototype.isHistorical = null;
                Metric.prototype.isTransient = null;
                Metric.prototype.isNull = null;
                Metric.prototype.metadata = null;
                Metric.prototype.properties = null;
                Metric.prototype.intValue = null;
                Metric.prototype.longValue = null;
                Metric.prototype.floatValue = null;
                Metric.prototype.doubleValue = null;
                Metric.prototype.booleanValue = null;
                Metric.prototype.stringValue = null;
                Metric.prototype.bytesValue = null;
                Metric.prototype.datasetValue = null;
                Metric.prototype.templateValue = null;
                Metric.prototype.extensionValue = null;

                let $oneOfFields;

                // Virtual OneOf for proto3 optional field
                $Object.defineProperty(Metric.prototype, "_name", {
                    get: $util.oneOfGetter($oneOfFields = ["name"]),
                    set: $util.oneOfSetter($oneOfFields)
                });

                // Virtual OneOf for proto3 optional field
                $Object.defineProperty(Metric.prototype, "_alias", {
                    get: $util.oneOfGetter($oneOfFields = ["alias"]),
                    set: $util.oneOfSetter($oneOfFields)
                });

                // Virtual OneOf for proto3 optional field
                $Object.defineProperty(Metric.prototype, "_timestamp", {
                    get: $util.oneOfGetter($oneOfFields = ["timestamp"]),
                    set: $util.oneOfSetter($oneOfFields)
                });

                // Virtual OneOf for proto3 optional field
                $Object.defineProperty(Metric.prototype, "_datatype", {
                    get: $util.oneOfGetter($oneOfFields = ["datatype"]),
                    set: $util.oneOfSetter($oneOfFields)
                });

                // Virtual OneOf for proto3 optional field
                $Object.defineProperty(Metric.prototype, "_isHistorical", {
                    get: $util.oneOfGetter($oneOfFields = ["isHistorical"]),
                    set: $util.oneOfSetter($oneOfFields)
                });

                // Virtual OneOf for proto3 optional field
                $Object.defineProperty(Metric.prototype, "_isTransient", {
                    get: $util.oneOfGetter($oneOfFields = ["isTransient"]),
                    set: $util.oneOfSetter($oneOfFields)
                });

                // Virtual OneOf for proto3 optional field
                $Object.defineProperty(Metric.prototype, "_isNull", {
                    get: $util.oneOfGetter($oneOfFields = ["isNull"]),
                    set: $util.oneOfSetter($oneOfFields)
                });

                // Virtual OneOf for proto3 optional field
                $Object.defineProperty(Metric.prototype, "_metadata", {
                    get: $util.oneOfGetter($oneOfFields = ["metadata"]),
                    set: $util.oneOfSetter($oneOfFields)
                });

                // Virtual OneOf for proto3 optional field
                $Object.defineProperty(Metric.prototype, "_properties", {
                    get: $util.oneOfGetter($oneOfFields = ["properties"]),
                    set: $util.oneOfSetter($oneOfFields)
                });

                $Object.defineProperty(Metric.prototype, "value", {
                    get: $util.oneOfGetter($oneOfFields = ["intValue", "longValue", "floatValue", "doubleValue", "booleanValue", "stringValue", "bytesValue", "datasetValue", "templateValue", "extensionValue"]),
                    set: $util.oneOfSetter($oneOfFields)
                });

                Metric.encode = function (message, writer, _depth) {
                    if (!writer)
                        writer = $Writer.create();
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $util.recursionLimit)
                        throw $Error("max depth exceeded");
                    if (message.name != null && $Object.hasOwnProperty.call(message, "name"))
                        writer.uint32(10).string(message.name);
                    if (message.alias != null && $Object.hasOwnProperty.call(message, "alias"))
                        writer.uint32(16).uint64($bits(message.alias));
                    if (message.timestamp != null && $Object.hasOwnProperty.call(message, "timestamp"))
                        writer.uint32(24).uint64($bits(message.timestamp));
                    if (message.datatype != null && $Object.hasOwnProperty.call(message, "datatype"))
                        writer.uint32(32).uint32(message.datatype);
                    if (message.isHistorical != null && $Object.hasOwnProperty.call(message, "isHistorical"))
                        writer.uint32(40).bool(message.isHistorical);
                    if (message.isTransient != null && $Object.hasOwnProperty.call(message, "isTransient"))
                        writer.uint32(48).bool(message.isTransient);
                    if (message.isNull != null && $Object.hasOwnProperty.call(message, "isNull"))
                        writer.uint32(56).bool(message.isNull);
                    if (message.metadata != null && $Object.hasOwnProperty.call(message, "metadata"))
                        writer.uint32(66).bytes(message.metadata);
                    if (message.properties != null && $Object.hasOwnProperty.call(message, "properties"))
                        $root.tailrace.sparkplug.v1.PropertySet.encode(message.properties, writer.uint32(74).fork(), _depth + 1).ldelim();
                    if (message.intValue != null && $Object.hasOwnProperty.call(message, "intValue"))
                        writer.uint32(80).uint32(message.intValue);
                    if (message.longValue != null && $Object.hasOwnProperty.call(message, "longValue"))
                        writer.uint32(88).uint64($bits(message.longValue));
                    if (message.floatValue != null && $Object.hasOwnProperty.call(message, "floatValue"))
                        writer.uint32(101).float(message.floatValue);
                    if (message.doubleValue != null && $Object.hasOwnProperty.call(message, "doubleValue"))
                        writer.uint32(105).double(message.doubleValue);
                    if (message.booleanValue != null && $Object.hasOwnProperty.call(message, "booleanValue"))
                        writer.uint32(112).bool(message.booleanValue);
                    if (message.stringValue != null && $Object.hasOwnProperty.call(message, "stringValue"))
                        writer.uint32(122).string(message.stringValue);
                    if (message.bytesValue != null && $Object.hasOwnProperty.call(message, "bytesValue"))
                        writer.uint32(130).bytes(message.bytesValue);
                    if (message.datasetValue != null && $Object.hasOwnProperty.call(message, "datasetValue"))
                        writer.uint32(138).bytes(message.datasetValue);
                    if (message.templateValue != null && $Object.hasOwnProperty.call(message, "templateValue"))
                        writer.uint32(146).bytes(message.templateValue);
                    if (message.extensionValue != null && $Object.hasOwnProperty.call(message, "extensionValue"))
                        writer.uint32(154).bytes(message.extensionValue);
                    if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                        for (let i = 0; i < message.$unknowns.length; ++i)
                            writer.raw(message.$unknowns[i]);
                    return writer;
                };

                Metric.decode = function (reader, length, _end, _depth, _target) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $Reader.recursionLimit)
                        throw $Error("max depth exceeded");
                    let end, message;
                    if (length === $undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw $RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = _target || new $root.tailrace.sparkplug.v1.Metric();
                    while (reader.pos < end) {
                        let start = reader.pos;
                        let tag = reader.tag();
                        if (tag === _end) {
                            _end = $undefined;
                            break;
                        }
                        let wireType = tag & 7;
                        switch (tag >>>= 3) {
                        case 1: {
                                if (wireType !== 2)
                                    break;
                                message.name = reader.stringVerify();
                                message._name = "name";
                                continue;
                            }
                        case 2: {
                                if (wireType !== 0)
                                    break;
                                message.alias = $uint64(reader);
                                message._alias = "alias";
                                continue;
                            }
                        case 3: {
                                if (wireType !== 0)
                                    break;
                                message.timestamp = $uint64(reader);
                                message._timestamp = "timestamp";
                                continue;
                            }
                        case 4: {
                                if (wireType !== 0)
                                    break;
                                message.datatype = reader.uint32();
                                message._datatype = "datatype";
                                continue;
                            }
                        case 5: {
                                if (wireType !== 0)
                                    break;
                                message.isHistorical = reader.bool();
                                message._isHistorical = "isHistorical";
                                continue;
                            }
                        case 6: {
                                if (wireType !== 0)
                                    break;
                                message.isTransient = reader.bool();
                                message._isTransient = "isTransient";
                                continue;
                            }
                        case 7: {
                                if (wireType !== 0)
                                    break;
                                message.isNull = reader.bool();
                                message._isNull = "isNull";
                                continue;
                            }
                        case 8: {
                                if (wireType !== 2)
                                    break;
                                message.metadata = reader.bytes();
                                message._metadata = "metadata";
                                continue;
                            }
                        case 9: {
                                if (wireType !== 2)
                                    break;
                                message.properties = $root.tailrace.sparkplug.v1.PropertySet.decode(reader, reader.size(), $undefined, _depth + 1, message.properties);
                                message._properties = "properties";
                                continue;
                            }
                        case 10: {
                                if (wireType !== 0)
                                    break;
                                message.intValue = reader.uint32();
                                message.value = "intValue";
                                continue;
                            }
                        case 11: {
                                if (wireType !== 0)
                                    break;
                                message.longValue = $uint64(reader);
                                message.value = "longValue";
                                continue;
                            }
                        case 12: {
                                if (wireType !== 5)
                                    break;
                                message.floatValue = reader.float();
                                message.value = "floatValue";
                                continue;
                            }
                        case 13: {
                                if (wireType !== 1)
                                    break;
                                message.doubleValue = reader.double();
                                message.value = "doubleValue";
                                continue;
                            }
                        case 14: {
                                if (wireType !== 0)
                                    break;
                                message.booleanValue = reader.bool();
                                message.value = "booleanValue";
                                continue;
                            }
                        case 15: {
                                if (wireType !== 2)
                                    break;
                                message.stringValue = reader.stringVerify();
                                message.value = "stringValue";
                                continue;
                            }
                        case 16: {
                                if (wireType !== 2)
                                    break;
                                message.bytesValue = reader.bytes();
                                message.value = "bytesValue";
                                continue;
                            }
                        case 17: {
                                if (wireType !== 2)
                                    break;
                                message.datasetValue = reader.bytes();
                                message.value = "datasetValue";
                                continue;
                            }
                        case 18: {
                                if (wireType !== 2)
                                    break;
                                message.templateValue = reader.bytes();
                                message.value = "templateValue";
                                continue;
                            }
                        case 19: {
                                if (wireType !== 2)
                                    break;
                                message.extensionValue = reader.bytes();
                                message.value = "extensionValue";
                                continue;
                            }
                        }
                        reader.skipType(wireType, _depth, tag);
                        if (!reader.discardUnknown) {
                            $util.makeProp(message, "$unknowns", false);
                            (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                        }
                    }
                    if (length !== $undefined) {
                        if (reader.pos !== end)
                            throw $RangeError("index out of range");
                        reader.len = length;
                    }
                    if (_end !== $undefined)
                        throw $Error("missing end group");
                    return message;
                };

                return Metric;
            })();

            v1.PropertySet = (function() {

                const PropertySet = function (properties) {
                    this.keys = [];
                    this.values = [];
                    if (properties)
                        for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                };

                PropertySet.prototype.keys = $util.emptyArray;
                PropertySet.prototype.values = $util.emptyArray;

                PropertySet.encode = function (message, writer, _depth) {
                    if (!writer)
                        writer = $Writer.create();
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $util.recursionLimit)
                        throw $Error("max depth exceeded");
                    if (message.keys != null && message.keys.length)
                        for (let i = 0; i < message.keys.length; ++i)
                            writer.uint32(10).string(message.keys[i]);
                    if (message.values != null && message.values.length)
                        for (let i = 0; i < message.values.length; ++i)
                            $root.tailrace.sparkplug.v1.PropertyValue.encode(message.values[i], writer.uint32(18).fork(), _depth + 1).ldelim();
                    if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                        for (let i = 0; i < message.$unknowns.length; ++i)
                            writer.raw(message.$unknowns[i]);
                    return writer;
                };

                PropertySet.decode = function (reader, length, _end, _depth, _target) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $Reader.recursionLimit)
                        throw $Error("max depth exceeded");
                    let end, message;
                    if (length === $undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw $RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = _target || new $root.tailrace.sparkplug.v1.PropertySet();
                    while (reader.pos < end) {
                        let start = reader.pos;
                        let tag = reader.tag();
                        if (tag === _end) {
                            _end = $undefined;
                            break;
                        }
                        let wireType = tag & 7;
                        switch (tag >>>= 3) {
                        case 1: {
                                if (wireType !== 2)
                                    break;
                                if (!(message.keys && message.keys.length))
                                    message.keys = [];
                                message.keys.push(reader.stringVerify());
                                continue;
                            }
                        case 2: {
                                if (wireType !== 2)
                                    break;
                                if (!(message.values && message.values.length))
                                    message.values = [];
                                message.values.push($root.tailrace.sparkplug.v1.PropertyValue.decode(reader, reader.size(), $undefined, _depth + 1));
                                continue;
                            }
                        }
                        reader.skipType(wireType, _depth, tag);
                        if (!reader.discardUnknown) {
                            $util.makeProp(message, "$unknowns", false);
                            (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                        }
                    }
                    if (length !== $undefined) {
                        if (reader.pos !== end)
                            throw $RangeError("index out of range");
                        reader.len = length;
                    }
                    if (_end !== $undefined)
                        throw $Error("missing end group");
                    return message;
                };

                return PropertySet;
            })();

            v1.PropertyValue = (function() {

                const PropertyValue = function (properties) {
                    if (properties)
                        for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                };

                PropertyValue.prototype.type = null;
                PropertyValue.prototype.isNull = null;
                PropertyValue.prototype.intValue = null;
                PropertyValue.prototype.longValue = null;
                PropertyValue.prototype.floatValue = null;
                PropertyValue.prototype.doubleValue = null;
                PropertyValue.prototype.booleanValue = null;
                PropertyValue.prototype.stringValue = null;
                PropertyValue.prototype.propertysetValue = null;
                PropertyValue.prototype.propertysetsValue = null;
                PropertyValue.prototype.extensionValue = null;

                let $oneOfFields;

                // Virtual OneOf for proto3 optional field
                $Object.defineProperty(PropertyValue.prototype, "_type", {
                    get: $util.oneOfGetter($oneOfFields = ["type"]),
                    set: $util.oneOfSetter($oneOfFields)
                });

                // Virtual OneOf for proto3 optional field
                $Object.defineProperty(PropertyValue.prototype, "_isNull", {
                    get: $util.oneOfGetter($oneOfFields = ["isNull"]),
                    set: $util.oneOfSetter($oneOfFields)
                });

                $Object.defineProperty(PropertyValue.prototype, "value", {
                    get: $util.oneOfGetter($oneOfFields = ["intValue", "longValue", "floatValue", "doubleValue", "booleanValue", "stringValue", "propertysetValue", "propertysetsValue", "extensionValue"]),
                    set: $util.oneOfSetter($oneOfFields)
                });

                PropertyValue.encode = function (message, writer, _depth) {
                    if (!writer)
                        writer = $Writer.create();
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $util.recursionLimit)
                        throw $Error("max depth exceeded");
                    if (message.type != null && $Object.hasOwnProperty.call(message, "type"))
                        writer.uint32(8).uint32(message.type);
                    if (message.isNull != null && $Object.hasOwnProperty.call(message, "isNull"))
                        writer.uint32(16).bool(message.isNull);
                    if (message.intValue != null && $Object.hasOwnProperty.call(message, "intValue"))
                        writer.uint32(24).uint32(message.intValue);
                    if (message.longValue != null && $Object.hasOwnProperty.call(message, "longValue"))
                        writer.uint32(32).uint64($bits(message.longValue));
                    if (message.floatValue != null && $Object.hasOwnProperty.call(message, "floatValue"))
                        writer.uint32(45).float(message.floatValue);
                    if (message.doubleValue != null && $Object.hasOwnProperty.call(message, "doubleValue"))
                        writer.uint32(49).double(message.doubleValue);
                    if (message.booleanValue != null && $Object.hasOwnProperty.call(message, "booleanValue"))
                        writer.uint32(56).bool(message.booleanValue);
                    if (message.stringValue != null && $Object.hasOwnProperty.call(message, "stringValue"))
                        writer.uint32(66).string(message.stringValue);
                    if (message.propertysetValue != null && $Object.hasOwnProperty.call(message, "propertysetValue"))
                        writer.uint32(74).bytes(message.propertysetValue);
                    if (message.propertysetsValue != null && $Object.hasOwnProperty.call(message, "propertysetsValue"))
                        writer.uint32(82).bytes(message.propertysetsValue);
                    if (message.extensionValue != null && $Object.hasOwnProperty.call(message, "extensionValue"))
                        writer.uint32(90).bytes(message.extensionValue);
                    if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                        for (let i = 0; i < message.$unknowns.length; ++i)
                            writer.raw(message.$unknowns[i]);
                    return writer;
                };

                PropertyValue.decode = function (reader, length, _end, _depth, _target) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (_depth === $undefined)
                        _depth = 0;
                    if (_depth > $Reader.recursionLimit)
                        throw $Error("max depth exceeded");
                    let end, message;
                    if (length === $undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw $RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = _target || new $root.tailrace.sparkplug.v1.PropertyValue();
                    while (reader.pos < end) {
                        let start = reader.pos;
                        let tag = reader.tag();
                        if (tag === _end) {
                            _end = $undefined;
                            break;
                        }
                        let wireType = tag & 7;
                        switch (tag >>>= 3) {
                        case 1: {
                                if (wireType !== 0)
                                    break;
                                message.type = reader.uint32();
                                message._type = "type";
                                continue;
                            }
                        case 2: {
                                if (wireType !== 0)
                                    break;
                                message.isNull = reader.bool();
                                message._isNull = "isNull";
                                continue;
                            }
                        case 3: {
                                if (wireType !== 0)
                                    break;
                                message.intValue = reader.uint32();
                                message.value = "intValue";
                                continue;
                            }
                        case 4: {
                                if (wireType !== 0)
                                    break;
                                message.longValue = $uint64(reader);
                                message.value = "longValue";
                                continue;
                            }
                        case 5: {
                                if (wireType !== 5)
                                    break;
                                message.floatValue = reader.float();
                                message.value = "floatValue";
                                continue;
                            }
                        case 6: {
                                if (wireType !== 1)
                                    break;
                                message.doubleValue = reader.double();
                                message.value = "doubleValue";
                                continue;
                            }
                        case 7: {
                                if (wireType !== 0)
                                    break;
                                message.booleanValue = reader.bool();
                                message.value = "booleanValue";
                                continue;
                            }
                        case 8: {
                                if (wireType !== 2)
                                    break;
                                message.stringValue = reader.stringVerify();
                                message.value = "stringValue";
                                continue;
                            }
                        case 9: {
                                if (wireType !== 2)
                                    break;
                                message.propertysetValue = reader.bytes();
                                message.value = "propertysetValue";
                                continue;
                            }
                        case 10: {
                                if (wireType !== 2)
                                    break;
                                message.propertysetsValue = reader.bytes();
                                message.value = "propertysetsValue";
                                continue;
                            }
                        case 11: {
                                if (wireType !== 2)
                                    break;
                                message.extensionValue = reader.bytes();
                                message.value = "extensionValue";
                                continue;
                            }
                        }
                        reader.skipType(wireType, _depth, tag);
                        if (!reader.discardUnknown) {
                            $util.makeProp(message, "$unknowns", false);
                            (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                        }
                    }
                    if (length !== $undefined) {
                        if (reader.pos !== end)
                            throw $RangeError("index out of range");
                        reader.len = length;
                    }
                    if (_end !== $undefined)
                        throw $Error("missing end group");
                    return message;
                };

                return PropertyValue;
            })();

            return v1;
        })();

        return sparkplug;
    })();

    return tailrace;
})();

export {
  $root as default
};
