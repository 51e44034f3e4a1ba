/** Plain data of Envoy's configuration, in the JSON form of its protocol buffers. */
export type Json =
  string | number | boolean | readonly Json[] | { readonly [key: string]: Json | undefined };

export type JsonObject = Readonly<Record<string, Json | undefined>>;

/** An extension by name with its configuration: the `Any` that Envoy wants. */
export function extension(name: string, type: string, body: JsonObject = {}): JsonObject {
  return { name, typed_config: { '@type': `type.googleapis.com/${type}`, ...body } };
}

/** The same where the type is a message of `envoy.extensions`. */
export function envoyExtension(name: string, type: string, body: JsonObject = {}): JsonObject {
  return extension(name, `envoy.extensions.${type}`, body);
}

/** A TCP address. */
export function socketAddress(address: string, port: number): JsonObject {
  return { socket_address: { address, port_value: port } };
}
