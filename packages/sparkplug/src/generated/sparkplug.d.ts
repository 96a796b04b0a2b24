// Generated from proto/ by scripts/generate.ts. Do not edit.
import type $protobuf from "protobufjs/minimal.js";

/** Namespace tailrace. */
export namespace tailrace {

    /** Namespace sparkplug. */
    namespace sparkplug {

        /** Namespace v1. */
        namespace v1 {

            /**
             * Properties of a Payload.
             * @deprecated Use tailrace.sparkplug.v1.Payload.$Properties instead.
             */
            interface IPayload extends tailrace.sparkplug.v1.Payload.$Properties {
            }

            /** Represents a Payload. */
            class Payload {

                /**
                 * Constructs a new Payload.
                 * @param [properties] Properties to set
                 */
                constructor(properties?: tailrace.sparkplug.v1.Payload.$Properties);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];

                /** Payload timestamp. */
                timestamp?: (number|bigint|null);

                /** Payload metrics. */
                metrics: tailrace.sparkplug.v1.Metric.$Properties[];

                /** Payload seq. */
                seq?: (number|bigint|null);

                /** Payload uuid. */
                uuid?: (string|null);

                /** Payload body. */
                body?: (Uint8Array|null);

                /**
                 * Encodes the specified Payload message. Does not implicitly {@link tailrace.sparkplug.v1.Payload.verify|verify} messages.
                 * @param message Payload message or plain object to encode
                 * @param [writer] Writer to encode to
                 * @returns Writer
                 */
                static encode(message: tailrace.sparkplug.v1.Payload.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

                /**
                 * Decodes a Payload message from the specified reader or buffer.
                 * @param reader Reader or buffer to decode from
                 * @param [length] Message length if known beforehand
                 * @returns {tailrace.sparkplug.v1.Payload & tailrace.sparkplug.v1.Payload.$Shape} Payload
                 * @throws {Error} If the payload is not a reader or valid buffer
                 * @throws {$protobuf.util.ProtocolError} If required fields are missing
                 */
                static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.sparkplug.v1.Payload & tailrace.sparkplug.v1.Payload.$Shape;
            }

            namespace Payload {

                /** Properties of a Payload. */
                interface $Properties {

                    /** Payload timestamp */
                    timestamp?: (number|bigint|null);

                    /** Payload metrics */
                    metrics?: (tailrace.sparkplug.v1.Metric.$Properties[]|null);

                    /** Payload seq */
                    seq?: (number|bigint|null);

                    /** Payload uuid */
                    uuid?: (string|null);

                    /** Payload body */
                    body?: (Uint8Array|null);

                    /** Unknown fields preserved while decoding when enabled */
                    $unknowns?: Uint8Array[];
                }

                /** Shape of a Payload. */
                type $Shape = {
                  timestamp?: number|bigint|null;
                  metrics?: tailrace.sparkplug.v1.Metric.$Shape[]|null;
                  seq?: number|bigint|null;
                  uuid?: string|null;
                  body?: Uint8Array|null;
                  $unknowns?: Uint8Array[];
                };
            }

            /**
             * Properties of a Metric.
             * @deprecated Use tailrace.sparkplug.v1.Metric.$Properties instead.
             */
            interface IMetric extends tailrace.sparkplug.v1.Metric.$Properties {
            }

            /** Represents a Metric. */
            class Metric {

                /**
                 * Constructs a new Metric.
                 * @param [properties] Properties to set
                 */
                constructor(properties?: tailrace.sparkplug.v1.Metric.$Properties);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];

                /** Metric name. */
                name?: (string|null);

                /** Metric alias. */
                alias?: (number|bigint|null);

                /** Metric timestamp. */
                timestamp?: (number|bigint|null);

                /** Metric datatype. */
                datatype?: (number|null);

                /** Metric isHistorical. */
                isHistorical?: (boolean|null);

                /** Metric isTransient. */
                isTransient?: (boolean|null);

                /** Metric isNull. */
                isNull?: (boolean|null);

                /** Metric metadata. */
                metadata?: (Uint8Array|null);

                /** Metric properties. */
                properties?: (tailrace.sparkplug.v1.PropertySet.$Properties|null);

                /** Metric intValue. */
                intValue?: (number|null);

                /** Metric longValue. */
                longValue?: (number|bigint|null);

                /** Metric floatValue. */
                floatValue?: (number|null);

                /** Metric doubleValue. */
                doubleValue?: (number|null);

                /** Metric booleanValue. */
                booleanValue?: (boolean|null);

                /** Metric stringValue. */
                stringValue?: (string|null);

                /** Metric bytesValue. */
                bytesValue?: (Uint8Array|null);

                /** Metric datasetValue. */
                datasetValue?: (Uint8Array|null);

                /** Metric templateValue. */
                templateValue?: (Uint8Array|null);

                /** Metric extensionValue. */
                extensionValue?: (Uint8Array|null);

                /** Metric value. */
                value?: ("intValue"|"longValue"|"floatValue"|"doubleValue"|"booleanValue"|"stringValue"|"bytesValue"|"datasetValue"|"templateValue"|"extensionValue");

                /**
                 * Encodes the specified Metric message. Does not implicitly {@link tailrace.sparkplug.v1.Metric.verify|verify} messages.
                 * @param message Metric message or plain object to encode
                 * @param [writer] Writer to encode to
                 * @returns Writer
                 */
                static encode(message: tailrace.sparkplug.v1.Metric.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

                /**
                 * Decodes a Metric message from the specified reader or buffer.
                 * @param reader Reader or buffer to decode from
                 * @param [length] Message length if known beforehand
                 * @returns {tailrace.sparkplug.v1.Metric & tailrace.sparkplug.v1.Metric.$Shape} Metric
                 * @throws {Error} If the payload is not a reader or valid buffer
                 * @throws {$protobuf.util.ProtocolError} If required fields are missing
                 */
                static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.sparkplug.v1.Metric & tailrace.sparkplug.v1.Metric.$Shape;
            }

            namespace Metric {

                /** Properties of a Metric. */
                interface $Properties {

                    /** Metric name */
                    name?: (string|null);

                    /** Metric alias */
                    alias?: (number|bigint|null);

                    /** Metric timestamp */
                    timestamp?: (number|bigint|null);

                    /** Metric datatype */
                    datatype?: (number|null);

                    /** Metric isHistorical */
                    isHistorical?: (boolean|null);

                    /** Metric isTransient */
                    isTransient?: (boolean|null);

                    /** Metric isNull */
                    isNull?: (boolean|null);

                    /** Metric metadata */
                    metadata?: (Uint8Array|null);

                    /** Metric properties */
                    properties?: (tailrace.sparkplug.v1.PropertySet.$Properties|null);

                    /** Metric intValue */
                    intValue?: (number|null);

                    /** Metric longValue */
                    longValue?: (number|bigint|null);

                    /** Metric floatValue */
                    floatValue?: (number|null);

                    /** Metric doubleValue */
                    doubleValue?: (number|null);

                    /** Metric booleanValue */
                    booleanValue?: (boolean|null);

                    /** Metric stringValue */
                    stringValue?: (string|null);

                    /** Metric bytesValue */
                    bytesValue?: (Uint8Array|null);

                    /** Metric datasetValue */
                    datasetValue?: (Uint8Array|null);

                    /** Metric templateValue */
                    templateValue?: (Uint8Array|null);

                    /** Metric extensionValue */
                    extensionValue?: (Uint8Array|null);

                    /** Metric value */
                    value?: ("intValue"|"longValue"|"floatValue"|"doubleValue"|"booleanValue"|"stringValue"|"bytesValue"|"datasetValue"|"templateValue"|"extensionValue");

                    /** Unknown fields preserved while decoding when enabled */
                    $unknowns?: Uint8Array[];
                }

                /** Narrowed shape of a Metric. */
                type $Shape = {
                  name?: string|null;
                  alias?: number|bigint|null;
                  timestamp?: number|bigint|null;
                  datatype?: number|null;
                  isHistorical?: boolean|null;
                  isTransient?: boolean|null;
                  isNull?: boolean|null;
                  metadata?: Uint8Array|null;
                  properties?: tailrace.sparkplug.v1.PropertySet.$Shape|null;
                  intValue?: number|null;
                  longValue?: number|bigint|null;
                  floatValue?: number|null;
                  doubleValue?: number|null;
                  booleanValue?: boolean|null;
                  stringValue?: string|null;
                  bytesValue?: Uint8Array|null;
                  datasetValue?: Uint8Array|null;
                  templateValue?: Uint8Array|null;
                  extensionValue?: Uint8Array|null;
                  $unknowns?: Uint8Array[];
                } & (
                  ({ value?: undefined; intValue?: null; longValue?: null; floatValue?: null; doubleValue?: null; booleanValue?: null; stringValue?: null; bytesValue?: null; datasetValue?: null; templateValue?: null; extensionValue?: null }|{ value?: "intValue"; intValue: number; longValue?: null; floatValue?: null; doubleValue?: null; booleanValue?: null; stringValue?: null; bytesValue?: null; datasetValue?: null; templateValue?: null; extensionValue?: null }|{ value?: "longValue"; intValue?: null; longValue: number|bigint; floatValue?: null; doubleValue?: null; booleanValue?: null; stringValue?: null; bytesValue?: null; datasetValue?: null; templateValue?: null; extensionValue?: null }|{ value?: "floatValue"; intValue?: null; longValue?: null; floatValue: number; doubleValue?: null; booleanValue?: null; stringValue?: null; bytesValue?: null; datasetValue?: null; templateValue?: null; extensionValue?: null }|{ value?: "doubleValue"; intValue?: null; longValue?: null; floatValue?: null; doubleValue: number; booleanValue?: null; stringValue?: null; bytesValue?: null; datasetValue?: null; templateValue?: null; extensionValue?: null }|{ value?: "booleanValue"; intValue?: null; longValue?: null; floatValue?: null; doubleValue?: null; booleanValue: boolean; stringValue?: null; bytesValue?: null; datasetValue?: null; templateValue?: null; extensionValue?: null }|{ value?: "stringValue"; intValue?: null; longValue?: null; floatValue?: null; doubleValue?: null; booleanValue?: null; stringValue: string; bytesValue?: null; datasetValue?: null; templateValue?: null; extensionValue?: null }|{ value?: "bytesValue"; intValue?: null; longValue?: null; floatValue?: null; doubleValue?: null; booleanValue?: null; stringValue?: null; bytesValue: Uint8Array; datasetValue?: null; templateValue?: null; extensionValue?: null }|{ value?: "datasetValue"; intValue?: null; longValue?: null; floatValue?: null; doubleValue?: null; booleanValue?: null; stringValue?: null; bytesValue?: null; datasetValue: Uint8Array; templateValue?: null; extensionValue?: null }|{ value?: "templateValue"; intValue?: null; longValue?: null; floatValue?: null; doubleValue?: null; booleanValue?: null; stringValue?: null; bytesValue?: null; datasetValue?: null; templateValue: Uint8Array; extensionValue?: null }|{ value?: "extensionValue"; intValue?: null; longValue?: null; floatValue?: null; doubleValue?: null; booleanValue?: null; stringValue?: null; bytesValue?: null; datasetValue?: null; templateValue?: null; extensionValue: Uint8Array })
                );
            }

            /**
             * Properties of a PropertySet.
             * @deprecated Use tailrace.sparkplug.v1.PropertySet.$Properties instead.
             */
            interface IPropertySet extends tailrace.sparkplug.v1.PropertySet.$Properties {
            }

            /** Represents a PropertySet. */
            class PropertySet {

                /**
                 * Constructs a new PropertySet.
                 * @param [properties] Properties to set
                 */
                constructor(properties?: tailrace.sparkplug.v1.PropertySet.$Properties);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];

                /** PropertySet keys. */
                keys: string[];

                /** PropertySet values. */
                values: tailrace.sparkplug.v1.PropertyValue.$Properties[];

                /**
                 * Encodes the specified PropertySet message. Does not implicitly {@link tailrace.sparkplug.v1.PropertySet.verify|verify} messages.
                 * @param message PropertySet message or plain object to encode
                 * @param [writer] Writer to encode to
                 * @returns Writer
                 */
                static encode(message: tailrace.sparkplug.v1.PropertySet.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

                /**
                 * Decodes a PropertySet message from the specified reader or buffer.
                 * @param reader Reader or buffer to decode from
                 * @param [length] Message length if known beforehand
                 * @returns {tailrace.sparkplug.v1.PropertySet & tailrace.sparkplug.v1.PropertySet.$Shape} PropertySet
                 * @throws {Error} If the payload is not a reader or valid buffer
                 * @throws {$protobuf.util.ProtocolError} If required fields are missing
                 */
                static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.sparkplug.v1.PropertySet & tailrace.sparkplug.v1.PropertySet.$Shape;
            }

            namespace PropertySet {

                /** Properties of a PropertySet. */
                interface $Properties {

                    /** PropertySet keys */
                    keys?: (string[]|null);

                    /** PropertySet values */
                    values?: (tailrace.sparkplug.v1.PropertyValue.$Properties[]|null);

                    /** Unknown fields preserved while decoding when enabled */
                    $unknowns?: Uint8Array[];
                }

                /** Shape of a PropertySet. */
                type $Shape = {
                  keys?: string[]|null;
                  values?: tailrace.sparkplug.v1.PropertyValue.$Shape[]|null;
                  $unknowns?: Uint8Array[];
                };
            }

            /**
             * Properties of a PropertyValue.
             * @deprecated Use tailrace.sparkplug.v1.PropertyValue.$Properties instead.
             */
            interface IPropertyValue extends tailrace.sparkplug.v1.PropertyValue.$Properties {
            }

            /** Represents a PropertyValue. */
            class PropertyValue {

                /**
                 * Constructs a new PropertyValue.
                 * @param [properties] Properties to set
                 */
                constructor(properties?: tailrace.sparkplug.v1.PropertyValue.$Properties);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];

                /** PropertyValue type. */
                type?: (number|null);

                /** PropertyValue isNull. */
                isNull?: (boolean|null);

                /** PropertyValue intValue. */
                intValue?: (number|null);

                /** PropertyValue longValue. */
                longValue?: (number|bigint|null);

                /** PropertyValue floatValue. */
                floatValue?: (number|null);

                /** PropertyValue doubleValue. */
                doubleValue?: (number|null);

                /** PropertyValue booleanValue. */
                booleanValue?: (boolean|null);

                /** PropertyValue stringValue. */
                stringValue?: (string|null);

                /** PropertyValue propertysetValue. */
                propertysetValue?: (Uint8Array|null);

                /** PropertyValue propertysetsValue. */
                propertysetsValue?: (Uint8Array|null);

                /** PropertyValue extensionValue. */
                extensionValue?: (Uint8Array|null);

                /** PropertyValue value. */
                value?: ("intValue"|"longValue"|"floatValue"|"doubleValue"|"booleanValue"|"stringValue"|"propertysetValue"|"propertysetsValue"|"extensionValue");

                /**
                 * Encodes the specified PropertyValue message. Does not implicitly {@link tailrace.sparkplug.v1.PropertyValue.verify|verify} messages.
                 * @param message PropertyValue message or plain object to encode
                 * @param [writer] Writer to encode to
                 * @returns Writer
                 */
                static encode(message: tailrace.sparkplug.v1.PropertyValue.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

                /**
                 * Decodes a PropertyValue message from the specified reader or buffer.
                 * @param reader Reader or buffer to decode from
                 * @param [length] Message length if known beforehand
                 * @returns {tailrace.sparkplug.v1.PropertyValue & tailrace.sparkplug.v1.PropertyValue.$Shape} PropertyValue
                 * @throws {Error} If the payload is not a reader or valid buffer
                 * @throws {$protobuf.util.ProtocolError} If required fields are missing
                 */
                static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.sparkplug.v1.PropertyValue & tailrace.sparkplug.v1.PropertyValue.$Shape;
            }

            namespace PropertyValue {

                /** Properties of a PropertyValue. */
                interface $Properties {

                    /** PropertyValue type */
                    type?: (number|null);

                    /** PropertyValue isNull */
                    isNull?: (boolean|null);

                    /** PropertyValue intValue */
                    intValue?: (number|null);

                    /** PropertyValue longValue */
                    longValue?: (number|bigint|null);

                    /** PropertyValue floatValue */
                    floatValue?: (number|null);

                    /** PropertyValue doubleValue */
                    doubleValue?: (number|null);

                    /** PropertyValue booleanValue */
                    booleanValue?: (boolean|null);

                    /** PropertyValue stringValue */
                    stringValue?: (string|null);

                    /** PropertyValue propertysetValue */
                    propertysetValue?: (Uint8Array|null);

                    /** PropertyValue propertysetsValue */
                    propertysetsValue?: (Uint8Array|null);

                    /** PropertyValue extensionValue */
                    extensionValue?: (Uint8Array|null);

                    /** PropertyValue value */
                    value?: ("intValue"|"longValue"|"floatValue"|"doubleValue"|"booleanValue"|"stringValue"|"propertysetValue"|"propertysetsValue"|"extensionValue");

                    /** Unknown fields preserved while decoding when enabled */
                    $unknowns?: Uint8Array[];
                }

                /** Narrowed shape of a PropertyValue. */
                type $Shape = {
                  type?: number|null;
                  isNull?: boolean|null;
                  intValue?: number|null;
                  longValue?: number|bigint|null;
                  floatValue?: number|null;
                  doubleValue?: number|null;
                  booleanValue?: boolean|null;
                  stringValue?: string|null;
                  propertysetValue?: Uint8Array|null;
                  propertysetsValue?: Uint8Array|null;
                  extensionValue?: Uint8Array|null;
                  $unknowns?: Uint8Array[];
                } & (
                  ({ value?: undefined; intValue?: null; longValue?: null; floatValue?: null; doubleValue?: null; booleanValue?: null; stringValue?: null; propertysetValue?: null; propertysetsValue?: null; extensionValue?: null }|{ value?: "intValue"; intValue: number; longValue?: null; floatValue?: null; doubleValue?: null; booleanValue?: null; stringValue?: null; propertysetValue?: null; propertysetsValue?: null; extensionValue?: null }|{ value?: "longValue"; intValue?: null; longValue: number|bigint; floatValue?: null; doubleValue?: null; booleanValue?: null; stringValue?: null; propertysetValue?: null; propertysetsValue?: null; extensionValue?: null }|{ value?: "floatValue"; intValue?: null; longValue?: null; floatValue: number; doubleValue?: null; booleanValue?: null; stringValue?: null; propertysetValue?: null; propertysetsValue?: null; extensionValue?: null }|{ value?: "doubleValue"; intValue?: null; longValue?: null; floatValue?: null; doubleValue: number; booleanValue?: null; stringValue?: null; propertysetValue?: null; propertysetsValue?: null; extensionValue?: null }|{ value?: "booleanValue"; intValue?: null; longValue?: null; floatValue?: null; doubleValue?: null; booleanValue: boolean; stringValue?: null; propertysetValue?: null; propertysetsValue?: null; extensionValue?: null }|{ value?: "stringValue"; intValue?: null; longValue?: null; floatValue?: null; doubleValue?: null; booleanValue?: null; stringValue: string; propertysetValue?: null; propertysetsValue?: null; extensionValue?: null }|{ value?: "propertysetValue"; intValue?: null; longValue?: null; floatValue?: null; doubleValue?: null; booleanValue?: null; stringValue?: null; propertysetValue: Uint8Array; propertysetsValue?: null; extensionValue?: null }|{ value?: "propertysetsValue"; intValue?: null; longValue?: null; floatValue?: null; doubleValue?: null; booleanValue?: null; stringValue?: null; propertysetValue?: null; propertysetsValue: Uint8Array; extensionValue?: null }|{ value?: "extensionValue"; intValue?: null; longValue?: null; floatValue?: null; doubleValue?: null; booleanValue?: null; stringValue?: null; propertysetValue?: null; propertysetsValue?: null; extensionValue: Uint8Array })
                );
            }
        }
    }
}
