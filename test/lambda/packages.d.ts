/** https://github.com/ChristopheBougere/asl-validator, which brings no types. */
declare module 'asl-validator' {
  export default function validate(definition: unknown): { readonly isValid: boolean; errorsText(): string };
}
