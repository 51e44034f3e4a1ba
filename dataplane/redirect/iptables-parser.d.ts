/** The one function that is used of the package, which ships no types. */
declare module 'iptables-parser' {
  const parser: {
    parseIptablesDoc(
      text: string,
    ): Record<
      string,
      { readonly chains: readonly string[]; readonly rules: readonly { readonly rule: string }[] }
    >;
  };
  export default parser;
}
